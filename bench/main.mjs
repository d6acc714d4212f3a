// What governance costs, and what it is good for, side by side with others. It reports, and never fails for being slow.
//   npm run bench -- [--only overhead|cost|adapters|grpc-faults|overload]... [--quick] [--json FILE] [--instructions]
import { parseArgs } from 'node:util';
import { writeJson } from './json-file.mjs';
import { parts } from './parts.mjs';
import { provenance } from './provenance.mjs';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: Object.keys(parts) },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    instructions: { type: 'boolean', default: false },
  },
});
const unknown = flags.only.filter((name) => !(name in parts));
if (unknown.length > 0)
  throw new RangeError(`--only must be one of ${Object.keys(parts).join(', ')}, got ${unknown.join(', ')}`);

/** @param {string} text */
const tell = (text) => process.stderr.write(`${text}\n`);
/** @param {string} text */
const print = (text) => {
  if (flags.json !== '-') console.log(text);
};

const { quick, instructions } = flags;
const about = provenance('bench', { quick });
/** @type {object[]} */
const results = [{ about }];
print(`${about.machine}, Node ${about.node}, commit ${about.commit}${about.changed ? ' with changes' : ''}`);
for (const [name, load] of Object.entries(parts)) {
  if (!flags.only.includes(name)) continue;
  const part = await load();
  const { text, json } = await part({ quick, instructions, tell });
  print(`\n# ${name}\n\n${text}`);
  results.push(json);
}
if (flags.json !== undefined) writeJson(flags.json, Object.assign({}, ...results));
