// How a cost is measured, whatever it is the cost of. README.md tells why it is done this way.
import { AsyncLocalStorage } from 'node:async_hooks';
import { getHeapStatistics } from 'node:v8';

/**
 * @typedef {object} Case
 * @property {string} id unique, and short enough for a command line: `client.full`
 * @property {string} name what a reader of the table is told
 * @property {string} [against] id of the case that does the same without what is measured; `bare` if not given
 * @property {(calls: number) => number | Promise<number>} batch makes so many calls and says how many were answered
 * @property {boolean} [context] uses AsyncLocalStorage itself, so it is measured only where all cases do
 */

/**
 * @typedef {object} Subject
 * @property {string} title
 * @property {readonly Case[]} cases
 * @property {() => void} [close] lets go of timers and connections
 */

/** A batch of calls that are awaited one after the other. Each has to resolve to 1. @param {() => Promise<number>} call */
export function awaited(call) {
  return async (/** @type {number} */ calls) => {
    let answered = 0;
    for (let i = 0; i < calls; i++) answered += await call();
    return answered;
  };
}

/**
 * A batch of synchronous calls that are told the time, which passes as it does for 20 000 calls a second. In an object:
 * a number that is passed to a function that is not inlined would cost 16 bytes.
 *
 * @param {(time: { now: number }) => number} call has to return 1
 */
export function told(call) {
  const time = { now: performance.now() };
  return (/** @type {number} */ calls) => {
    let answered = 0;
    for (let i = 0; i < calls; i++) {
      time.now += 0.05;
      answered += call(time);
    }
    return answered;
  };
}

/** What a call returned is counted, so it cannot be optimised away; and what is measured is answers, not refusals. @param {Case} of @param {number} calls */
export async function run({ id, batch }, calls) {
  const answered = await batch(calls);
  if (answered !== calls) throw new Error(`${id}: ${answered} of ${calls} calls were answered`);
}

const storage = new AsyncLocalStorage();

/**
 * The same case as it runs in a service that has an AsyncLocalStorage, its own or that of a tracing SDK. On Node 20 that
 * makes every promise of the process dearer from then on, so it needs a process of its own.
 *
 * @param {Case} of
 * @returns {Case}
 */
export function inContext(of) {
  return { ...of, batch: (calls) => storage.run({}, of.batch, calls) };
}

/** Lets timers and the collector have their turn. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** @param {Case} of @param {number} calls */
async function timed(of, calls) {
  const start = performance.now();
  await run(of, calls);
  return ((performance.now() - start) * 1e6) / calls;
}

/** In an order of chance. @template T @param {readonly T[]} list @returns {T[]} */
export function shuffled(list) {
  const order = [...list];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [/** @type {T} */ (order[j]), /** @type {T} */ (order[i])];
  }
  return order;
}

/** The smallest value that at least a share `q` does not exceed. @param {readonly number[]} values @param {number} q */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** @param {readonly number[]} values */
const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** @param {readonly number[]} values */
export function bestQuarter(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return meanOf(sorted.slice(0, Math.max(1, Math.floor(sorted.length / 4))));
}

/** Until it is compiled and its chunks take about as long as asked for. @returns {Promise<number>} calls per chunk @param {Case} of @param {{ warmMs: number, chunkMs: number }} settings */
async function warmUp(of, { warmMs, chunkMs }) {
  const until = performance.now() + warmMs;
  let ns = await timed(of, 100);
  while (performance.now() < until) {
    ns = Math.min(ns, await timed(of, 200));
    await turn();
  }
  return Math.max(50, Math.min(20_000, Math.round((chunkMs * 1e6) / ns)));
}

/**
 * Nanoseconds per call of each case: chunk by chunk in rounds of a new order, so that a neighbour on the machine and the
 * state of the heap hit all alike.
 *
 * @param {readonly Case[]} cases
 * @param {{ rounds: number, warmMs: number, chunkMs: number }} settings
 * @returns {Promise<Record<string, { ns: number, medianNs: number }>>} `ns` is the mean of the quickest quarter of the chunks
 */
export async function measureTimes(cases, settings) {
  /** @type {Map<Case, { calls: number, chunks: number[] }>} */
  const measured = new Map();
  for (const of of cases) measured.set(of, { calls: await warmUp(of, settings), chunks: [] });
  for (let round = 0; round < settings.rounds; round++) {
    for (const [of, { calls, chunks }] of shuffled([...measured])) {
      await turn();
      chunks.push(await timed(of, calls));
    }
  }
  return Object.fromEntries(
    [...measured].map(([of, { chunks }]) => [
      of.id,
      { ns: bestQuarter(chunks), medianNs: quantile(chunks, 0.5) },
    ]),
  );
}

/**
 * CPU nanoseconds per call of one case in a row, whatever they are spent on: the call, timers between calls, collections,
 * compilation. Needs a process of its own.
 *
 * @param {Case} of
 * @param {number} forMs
 * @returns {Promise<Record<string, { cpuNs: number }>>}
 */
export async function measureSustained(of, forMs) {
  const portion = 500;
  await warmUp(of, { warmMs: forMs / 10, chunkMs: 1 });
  const until = performance.now() + forMs;
  const before = process.cpuUsage();
  let calls = 0;
  for (; performance.now() < until; calls += portion) {
    await run(of, portion);
    await turn();
  }
  const { user, system } = process.cpuUsage(before);
  return { [of.id]: { cpuNs: ((user + system) * 1000) / calls } };
}

const bytesInUse = () => getHeapStatistics().used_heap_size;

/**
 * Bytes allocated per call of each case. Right only while nothing is collected in between, so the process needs
 * `--expose-gc` and room for the young; see `bytesFlags`.
 *
 * @param {readonly Case[]} cases
 * @param {{ warmMs: number, chunkMs: number }} settings
 * @returns {Promise<Record<string, { bytes: number }>>}
 */
export async function measureBytes(cases, settings) {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error('measureBytes needs node --expose-gc');
  const calls = 2000;
  /** @type {Record<string, { bytes: number }>} */
  const result = {};
  for (const of of cases) {
    await warmUp(of, settings);
    /** @type {number[]} */
    const samples = [];
    for (let sample = 0; sample < 7; sample++) {
      await turn();
      collect();
      const before = bytesInUse();
      await run(of, calls);
      samples.push((bytesInUse() - before) / calls);
    }
    result[of.id] = { bytes: Math.max(0, Math.round(quantile(samples, 0.5))) };
  }
  return result;
}

/** No collection of the young while less than this many MiB were allocated. */
export const bytesFlags = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];
