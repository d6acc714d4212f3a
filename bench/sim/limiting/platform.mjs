/** @typedef {import('./thread.mjs').Thread} Thread */

/** The clock of a process in virtual time: its timers are the loop's. @param {Thread} thread @returns {import('keelson/core').Clock} */
export const clockOf = (thread) => ({
  now: () => thread.world.now,
  wallMs: () => thread.world.now,
  after(ms, run) {
    const timer = thread.timer(ms, run);
    return {
      cancel() {
        timer.cancelled = true;
      },
    };
  },
});

/**
 * What Node and the kernel tell a process of itself: event loop utilization, CPU time, and the control group, if the
 * thread has a quota.
 *
 * @param {Thread} thread
 * @param {import('./thread.mjs').Quota} [quota]
 * @returns {import('keelson/limiter/load').LoadHost}
 */
export const hostOf = (thread, quota) => ({
  readFile(path) {
    if (quota === undefined) throw new Error('no such file');
    switch (path) {
      case '/proc/self/cgroup':
        return '0::/\n';
      case '/proc/self/mountinfo':
        return '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n';
      case '/sys/fs/cgroup/cpu.max':
        return `${quota.quotaMs * 1000} ${quota.periodMs * 1000}\n`;
      case '/sys/fs/cgroup/cpu.stat':
        return [
          `usage_usec ${Math.round(thread.cpuMs * 1000)}`,
          `nr_periods ${thread.periods}`,
          `nr_throttled ${thread.throttledPeriods}`,
          `throttled_usec ${Math.round(thread.throttledMs * 1000)}`,
          '',
        ].join('\n');
      default:
        throw new Error('no such file');
    }
  },
  eventLoop: () => ({ idle: thread.sleptMs, active: thread.activeMs }),
  processCpuMs: () => thread.cpuMs,
  cpus: () => 1,
});

/**
 * What Node tells a backlog meter: the clock, `nodeTiming.idleTime` and `uvMetricsInfo`, and an immediate that is not
 * ref'd. Idle time is counted when the loop wakes.
 *
 * @param {Thread} thread
 * @returns {import('keelson/limiter/load').BacklogHost}
 */
export const backlogHostOf = (thread) => ({
  now: () => thread.world.now,
  idleMs: () => thread.sleptMs,
  events: () => ({ events: thread.events, eventsWaiting: thread.eventsWaiting }),
  onTurnEnd: (run) => thread.onTurnEnd(run),
});

/**
 * `monitorEventLoopDelay({ resolution: 10 })`: how far apart a timer of 10 ms really fires.
 *
 * Source: Node `src/histogram.cc` (IntervalHistogram), `lib/internal/histogram.js`.
 *
 * @param {Thread} thread
 */
export function delayMonitor(thread) {
  const resolution = 10;
  let last = thread.world.now;
  let sum = 0;
  let count = 0;
  /** @param {number} now */
  const tick = (now) => {
    sum += now - last;
    count++;
    last = now;
    thread.timer(resolution, tick);
  };
  thread.timer(resolution, tick);
  return {
    resolution,
    /** Mean since the last reset; `NaN` of nothing. */
    get mean() {
      return sum / count;
    },
    reset() {
      sum = 0;
      count = 0;
    },
  };
}
