// `npm run bench:telemetry`: what tracing costs, and what it loses, beside the stock OpenTelemetry SDK in the same run.
//
//   --only http|spans|outage   one part; can be given several times
//   --rate <n>, --away <s>     of outage: spans a second, and how long the collector refuses connections
//   --quick                    shows that everything runs; its figures mean little
//   --json <file>              the figures for programs, `-` for standard output
import { parseArgs } from 'node:util';
import { writeJson } from '../json-file.mjs';
import { provenance } from '../provenance.mjs';
import { httpCost } from './http.mjs';
import { outages } from './outage.mjs';
import { spanCost } from './spans.mjs';

const parts = { http: httpCost, spans: spanCost, outage: outages };
const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: Object.keys(parts) },
    rate: { type: 'string', default: '1000' },
    away: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const unknown = flags.only.filter((name) => !(name in parts));
if (unknown.length > 0)
  throw new RangeError(`--only must be one of ${Object.keys(parts).join(', ')}, got ${unknown.join(', ')}`);

/** @param {string} name @param {string} text */
function number(name, text) {
  const value = Number(text);
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new RangeError(`--${name} must be a number above 0, got ${text}`);
  return value;
}

const perSecond = number('rate', flags.rate);
const awayS = flags.away === undefined ? undefined : number('away', flags.away);

/** @param {string} text */
const tell = (text) => process.stderr.write(`${text}\n`);
/** @param {string} text */
const print = (text) => {
  if (flags.json !== '-') console.log(text);
};

const { quick } = flags;
const about = provenance('bench:telemetry', { quick });
/** @type {object[]} */
const results = [{ about }];
print(`${about.machine}, Node ${about.node}, commit ${about.commit}${about.changed ? ' with changes' : ''}`);
for (const [name, part] of Object.entries(parts)) {
  if (!flags.only.includes(name)) continue;
  const { text, json } = await part({ quick, tell, perSecond, awayS });
  print(`\n# ${name}\n\n${text}`);
  results.push(json);
}
if (flags.json !== undefined) writeJson(flags.json, Object.assign({}, ...results));
