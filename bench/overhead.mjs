// What governance costs a call, beside what others cost it.
import { verdicts } from './goals.mjs';
import { bytesFlags, quantile } from './harness.mjs';
import { canCount, countInstructions } from './instructions.mjs';
import { goalsText, sectionsOf, tableOf } from './overhead/report.mjs';
import { allSubjects } from './overhead/subjects.mjs';
import { workerResult } from './processes.mjs';

// Processes differ in what the compiler happens to inline, so there are several, and their median counts.
const efforts = {
  quick: { processes: 1, rounds: 8, warmMs: 3, chunkMs: 0.1, sustainedMs: 150 },
  full: { processes: 5, rounds: 150, warmMs: 80, chunkMs: 0.8, sustainedMs: 4000 },
};

/** A process and some seconds each, so only those that stand for something. */
const worthSustaining = [
  'bare',
  'opossum',
  'opossum.lean',
  'cockatiel.breaker',
  'attempt.sre',
  'client.full',
];
/** A minute each, so only what the goals are about and what explains it. */
const worthCounting = [
  ...['bare', 'sync', 'opossum', 'cockatiel.breaker', 'cockatiel.wrap'],
  ...['gate.sre', 'gate.threshold', 'gate.bbr', 'gate.concurrency', 'gate.rate', 'attempt.sre', 'standard.3'],
  ...['client.least', 'client.balancer', 'client.breaker', 'client.retry', 'client.deadline', 'client.full'],
];

/** @typedef {Record<string, Record<string, number>>} Measured by case and field */
/** @typedef {import('./parts.mjs').PartOptions} PartOptions */

/** @param {readonly Measured[]} runs @returns {Measured} the median of each field */
function middleOf(runs) {
  /** @type {Measured} */
  const middle = {};
  for (const [id, fields] of Object.entries(runs[0] ?? {}))
    middle[id] = Object.fromEntries(
      Object.keys(fields).map((field) => [
        field,
        quantile(
          runs.map((one) => one[id]?.[field] ?? Number.NaN),
          0.5,
        ),
      ]),
    );
  return middle;
}

/** @param {readonly (import('./harness.mjs').Case & { readonly subject: string })[]} cases @param {PartOptions} options @returns {Promise<Measured[]>} */
async function measuredOf(cases, { quick, instructions, tell }) {
  const { processes, rounds, warmMs, chunkMs, sustainedMs } = quick ? efforts.quick : efforts.full;

  /** @param {string} what @param {() => Promise<Measured>} measure @returns {Promise<Measured>} */
  async function repeated(what, measure) {
    const runs = [];
    for (let time = 1; time <= processes; time++) {
      tell(`${what}, process ${time} of ${processes}`);
      runs.push(await measure());
    }
    return middleOf(runs);
  }
  async function times() {
    return repeated('time within the call', () => workerResult([], ['time', rounds, warmMs, chunkMs]));
  }
  async function contextTimes() {
    const measured = await repeated('the same beside AsyncLocalStorage', () =>
      workerResult([], ['context', rounds, warmMs, chunkMs]),
    );
    return Object.fromEntries(
      Object.entries(measured).map(([id, { ns = Number.NaN }]) => [id, { contextNs: ns }]),
    );
  }
  async function sustained() {
    return repeated('CPU time in a row of calls', async () => {
      const all = [];
      for (const id of worthSustaining) all.push(await workerResult([], ['sustained', sustainedMs, id]));
      return Object.assign({}, ...all);
    });
  }
  async function bytes() {
    tell('bytes');
    return workerResult(bytesFlags, ['bytes', rounds, warmMs, chunkMs]);
  }
  /** @returns {Promise<Measured>} */
  async function counted() {
    if (!instructions) return {};
    if (!canCount()) {
      tell('SKIPPED: instructions are counted by valgrind, and there is none on this machine');
      return {};
    }
    return countInstructions(
      cases.filter(({ id }) => worthCounting.includes(id)),
      (id) => tell(`instructions of ${id}`),
    );
  }
  return [await times(), await contextTimes(), await sustained(), await bytes(), await counted()];
}

/** @param {PartOptions} options @returns {Promise<import('./parts.mjs').PartResult>} */
export async function overhead(options) {
  const all = await allSubjects();
  for (const { close } of all) close?.();
  const cases = all.flatMap((subject) => subject.cases.map((one) => ({ ...one, subject: subject.key })));
  const measured = await measuredOf(cases, options);
  /** @type {Record<string, import('./goals.mjs').Figure>} */
  const figures = Object.fromEntries(
    cases.map(({ id }) => [id, Object.assign({}, ...measured.map((part) => part[id]))]),
  );
  const sections = sectionsOf(all, figures);
  // Code that is still being compiled says nothing about any goal.
  const goals = options.quick ? [] : verdicts(figures);
  const judged = options.quick ? 'Goals are judged by a full run only.' : goalsText(goals);
  return { text: `${tableOf(sections)}\n\n${judged}`, json: { overhead: { sections, goals } } };
}
