import { retryBudget, tiedPolicy } from 'keelson/retry';

/** @typedef {import('./cell.mjs').Transport} Transport */
/** @typedef {import('./copies.mjs').Doubling} Doubling */

/** CPU time for a copy that was read and parsed, and then not run. */
const cancelMs = 0.08;
/** About twice what the wire takes. */
const tiedDelayMs = 0.6;
/** The shortest time that a timer of the platform waits, and what it is late by. */
const timerMs = 1;
const timerLateMs = 0.1;

/** One copy. @type {Transport} */
const single = { name: 'single' };

/**
 * A second copy of each call, shortly after the first; the server that starts one tells the other server.
 *
 * Source: J. Dean, L. A. Barroso, "The Tail at Scale", CACM 2013, tied requests. It needs servers that reach each other,
 * and a timer of a tenth of a millisecond: what could be had, not what is shipped.
 *
 * @type {Transport}
 */
const tiedServers = {
  name: 'tied by servers',
  doubling: () => ({ told: 'servers', cancelMs, delayMs: () => tiedDelayMs, copies: () => 'free' }),
};

/**
 * `tiedPolicy()` decides, the client hears of starts and takes the other copy back, timers are the platform's, as shipped.
 *
 * @param {string} name
 * @param {'free' | 'claim'} mode
 * @param {boolean} early
 * @returns {Transport}
 */
const byClient = (name, mode, early) => ({
  name,
  doubling: () => {
    const policy = tiedPolicy();
    return {
      told: 'client',
      early,
      cancelMs,
      delayMs: (id, now) =>
        Math.max(timerMs, policy.delayMs(id, now) ?? Number.POSITIVE_INFINITY) + timerLateMs,
      copies: () => (policy.withdraw() ? mode : undefined),
      called: () => policy.called(),
      reported: (id, load, now) => policy.reported(id, load, now),
      started: (id, afterMs, now) => policy.started(id, afterMs, now),
      duplicated: () => policy.duplicated(),
    };
  },
});

/** Calls that may run twice; servers tell of a copy as soon as it is the next, while the one before it runs. */
const tied = byClient('tied', 'free', true);
/** Calls that must not, likewise: the second copy is let start when the first never will. */
const claimed = byClient('tied, claiming', 'claim', true);
/**
 * Servers tell of a copy when the one before it is through. So it is where handlers keep the thread from their first line to
 * their last: what a queue writes meanwhile, it writes between two of them.
 */
const tiedAtStart = byClient('tied, told at the start', 'free', false);
const claimedAtStart = byClient('tied, claiming, told at the start', 'claim', false);

/** Latencies that the percentile is of, and after how many it is looked for anew. */
const kept = 512;
const renewed = 64;

/** A second copy when the first took longer than 95 of 100 calls do, for at most 5 % of the calls. @type {Transport} */
const hedged = {
  name: 'hedged',
  doubling: () => {
    const latencies = new Float64Array(kept);
    const budget = retryBudget({ ratio: 0.05, minPerSecond: 0, maxTries: 20 });
    let count = 0;
    let p95 = Number.POSITIVE_INFINITY;
    return {
      told: 'nobody',
      cancelMs,
      delayMs: () => p95,
      copies: (now) => (budget.withdraw(now) ? 'free' : undefined),
      succeeded: (latencyMs) => {
        budget.deposit();
        latencies[count++ % kept] = latencyMs;
        if (count % renewed !== 0) return;
        const known = Math.min(count, kept);
        p95 = latencies.slice(0, known).sort()[Math.floor(known * 0.95)] ?? p95;
      },
    };
  },
};

/** @param {Transport} transport @returns {Transport} the same with one safe retry */
const retrying = (transport) => ({
  ...transport,
  name: transport === single ? 'retried' : `${transport.name}, retried`,
  retries: true,
});

const ways = [single, tiedServers, tied, claimed, tiedAtStart, claimedAtStart, hedged];

/** By name. @type {ReadonlyMap<string, Transport>} */
export const transports = new Map([...ways, ...ways.map(retrying)].map((way) => [way.name, way]));
