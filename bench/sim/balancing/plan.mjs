import { rules } from './rules.mjs';
import { scenarios } from './scenarios.mjs';
import { transports } from './transports.mjs';

/** @typedef {{ readonly rule: string, readonly transport: string }} Line a rule, and how its calls are sent */
/** @typedef {Line & { readonly scenario: string, readonly load: number, readonly seed: number, readonly seconds: number, readonly warmUpMs?: number }} Task */

/** What a client of keelson does unless it is told otherwise: the goals are for this one. */
export const judged = 'standardBalancer';
/** 0 % and 100 % of the gap. */
export const base = 'kratos v2';
export const ideal = 'jsq-cpu';
/** What a median is never to be worse than. */
export const plain = 'least request P2C';

/** @param {string} transport @param {readonly string[]} names @returns {Line[]} */
const by = (transport, names) => names.map((rule) => ({ rule, transport }));

const yardsticks = by('single', [base, ideal, plain, judged]);
const ways = [...by('tied', [judged]), ...by('tied, claiming', [judged])];
const all = rules.filter(({ lookOnly }) => !lookOnly).map(({ name }) => name);
const retries = ['retried', 'tied, retried', 'tied, claiming, retried'].flatMap((way) => by(way, [judged]));

/** @type {readonly Line[]} */
const everything = [
  ...by('single', all),
  ...by('hedged', [judged]),
  ...by('tied by servers', ['random', base, judged]),
  ...by('tied, told at the start', [judged]),
  ...by('tied, claiming, told at the start', [judged]),
  ...ways,
];
const some = [...yardsticks, ...ways];
/** @type {readonly Line[]} */
const more = [...some, ...by('single', ['leastLoad responseTime', 'C3, full scan', 'round robin'])];

/**
 * @param {import('./cell.mjs').Scenario} scenario @param {number} load
 * @returns {readonly Line[]}
 */
function linesOf({ id, seconds }, load) {
  if (!letters.test(id)) return seconds === undefined ? more : some;
  if (load < 0.7) return some;
  return id === 'E' ? [...everything, ...by('retried', [base]), ...retries] : everything;
}

/** The scenarios of which every cell has every line. */
const letters = /^[A-E]$/;

const fullSeconds = 10;
const keptBackSeconds = 6;
const quickSeconds = 1.5;
const quickWarmUpMs = 1000;
/** With as few calls as there are in it, only the coarse can be seen. */
const quickCells = ['A0.9', 'C0.9', 'E0.9', 'mixed-jobs0.9'];

/**
 * What is to be run.
 *
 * @param {{ quick: boolean, seed: number }} options
 * @returns {Task[]}
 */
export function tasksOf({ quick, seed }) {
  return scenarios.flatMap((scenario) => {
    const { chosenOn, id, loads, seconds } = scenario;
    return loads.flatMap((load) => {
      const cell = { scenario: id, load, seed };
      if (!quick) {
        const long = seconds ?? (chosenOn ? fullSeconds : keptBackSeconds);
        return linesOf(scenario, load).map((line) => ({ ...cell, ...line, seconds: long }));
      }
      if (!quickCells.includes(`${id}${load}`)) return [];
      const lines = id === 'E' ? [...some, ...retries] : some;
      return lines.map((line) => ({ ...cell, ...line, seconds: quickSeconds, warmUpMs: quickWarmUpMs }));
    });
  });
}

/**
 * @template T
 * @param {T | undefined} found @param {string} what @returns {T}
 */
function must(found, what) {
  if (found === undefined) throw new RangeError(`there is no ${what}`);
  return found;
}

/** The options of `runCell` for a task, which is plain data. @param {Task} task @returns {Parameters<typeof import('./cell.mjs').runCell>[0]} */
export function cellOf({ scenario: id, load, rule, transport, seed, seconds, warmUpMs }) {
  const scenario = must(
    scenarios.find((one) => one.id === id),
    `scenario ${id}`,
  );
  return {
    scenario: warmUpMs === undefined ? scenario : { ...scenario, warmUpMs },
    load,
    rule: must(
      rules.find(({ name }) => name === rule),
      `rule ${rule}`,
    ),
    transport: must(transports.get(transport), `transport ${transport}`),
    seed,
    seconds,
  };
}
