import { quantile, turn } from '../harness.mjs';

/**
 * @typedef {object} Load what so many callers at once saw in some time
 * @property {number} calls
 * @property {number} failed those that were not answered as they should be
 * @property {string | undefined} reason of the first that failed
 * @property {number} wallMs
 * @property {number} cpuUs of this process, whatever it was spent on
 * @property {number} p50Us
 * @property {number} p99Us
 */

/**
 * A closed loop: each caller calls again when it was answered.
 *
 * @param {() => Promise<number>} call
 * @param {{ atOnce: number, forMs: number }} amount
 * @returns {Promise<Load>}
 */
export async function load(call, { atOnce, forMs }) {
  /** @type {number[]} */
  const latencies = [];
  let failed = 0;
  /** @type {string | undefined} */
  let reason;
  const cpu = process.cpuUsage();
  const began = performance.now();
  const until = began + forMs;
  const caller = async () => {
    for (let start = began; start < until; ) {
      try {
        if ((await call()) !== 1) throw new Error('not the answer that was expected');
      } catch (error) {
        failed++;
        reason ??= String(error);
      }
      const end = performance.now();
      latencies.push(end - start);
      start = end;
      if (latencies.length % 100 > 0) continue;
      // What answers without a network would never let a timer have its turn.
      await turn();
      start = performance.now();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const [p50Us, p99Us] = [quantile(latencies, 0.5) * 1000, quantile(latencies, 0.99) * 1000];
  return { calls: latencies.length, failed, reason, wallMs, cpuUs: user + system, p50Us, p99Us };
}
