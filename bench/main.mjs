// What governance costs, and what it is good for, side by side with others. It reports, and never fails for being slow.
//   npm run bench -- [--only overhead|adapters|grpc-faults]... [--quick] [--json] [--instructions]
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { parts } from './parts.mjs';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: Object.keys(parts) },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
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
  if (!flags.json) console.log(text);
};

const machine = `${availableParallelism()} CPUs, Node ${process.versions.node}`;
const { quick, instructions } = flags;
/** @type {object[]} */
const results = [{ machine, quick }];
print(machine);
for (const [name, load] of Object.entries(parts)) {
  if (!flags.only.includes(name)) continue;
  const part = await load();
  const { text, json } = await part({ quick, instructions, tell });
  print(`\n# ${name}\n\n${text}`);
  results.push(json);
}
if (flags.json) console.log(JSON.stringify(Object.assign({}, ...results), null, 2));
