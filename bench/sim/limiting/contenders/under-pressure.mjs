import { delayMonitor } from '../platform.mjs';

/**
 * Refuses everything while the last sample of loop delay or loop utilization is above its threshold.
 *
 * All its checks are off by default. Set here: the utilization of 0.98 that its README shows, and 100 ms of delay instead
 * of the 1000 there, which is beyond the deadline of these calls. `mode` as in its options: `cumulative` is its default
 * and counts from the start of the process, `interval` since the last sample.
 *
 * Source: @fastify/under-pressure 9.2.0, `index.js`.
 *
 * @param {number} sampleMs @param {'cumulative' | 'interval'} mode @returns {import('../run.mjs').Contender}
 */
export const underPressure = (sampleMs, mode) => ({
  id: `under-pressure-${sampleMs}-${mode}`,
  name: `under-pressure ${sampleMs} ms, ${mode}`,
  make({ thread }) {
    const maxDelayMs = 100;
    const maxUtilization = 0.98;
    const monitor = delayMonitor(thread);
    let delayMs = 0;
    let utilization = 0;
    let last = { active: 0, idle: 0 };
    const sample = () => {
      delayMs = Math.max(0, monitor.mean - monitor.resolution);
      if (Number.isNaN(delayMs)) delayMs = Number.POSITIVE_INFINITY;
      monitor.reset();
      const now = { active: thread.activeMs, idle: thread.sleptMs };
      const active = now.active - last.active;
      utilization = active / (active + now.idle - last.idle);
      if (mode === 'interval') last = now;
      thread.timer(sampleMs, sample);
    };
    thread.timer(sampleMs, sample);
    return {
      arrive: () => (delayMs > maxDelayMs || utilization > maxUtilization ? 'refuse' : 'run'),
    };
  },
});
