// The shipped policies in virtual time, beside their peers and the physical limit. The same seed gives the same numbers.
//   npm run bench:sim -- [--only balancing|limiting|breaking|retrying|series]... [--quick] [--seed N] [--json FILE]
import { parseArgs } from 'node:util';
import { writeJson } from '../json-file.mjs';
import { provenance } from '../provenance.mjs';
import { studies } from './studies.mjs';

const usage = `Usage: npm run bench:sim -- [--only NAME]... [--quick] [--seed N] [--json FILE]

  --only NAME   one of ${Object.keys(studies).join(', ')}; all by default
  --quick       small cells, for CI: half a minute for all; without it up to six minutes for each
  --seed N      a whole number, 1 by default; the same seed gives the same numbers
  --json FILE   writes the numbers as well
`;

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: Object.keys(studies) },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (flags.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const unknown = flags.only.filter((name) => !(name in studies));
if (unknown.length > 0)
  throw new RangeError(`--only must be one of ${Object.keys(studies).join(', ')}, got ${unknown.join(', ')}`);
const seed = Number(flags.seed);
if (!Number.isSafeInteger(seed)) throw new RangeError(`--seed must be a whole number, got ${flags.seed}`);

/** @param {string} text */
const tell = (text) => process.stderr.write(`${text}\n`);
/** @type {Record<string, object>} */
const results = {};
for (const [name, load] of Object.entries(studies)) {
  if (!flags.only.includes(name)) continue;
  const study = await load();
  const { text, json } = await study({ quick: flags.quick, seed, tell });
  console.log(`\n# ${name}\n\n${text}`);
  results[name] = json;
}
if (flags.json !== undefined)
  writeJson(flags.json, { about: provenance('bench:sim', { quick: flags.quick, seed }), ...results });
