import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Later than this, now and then, is an interpreter at work; all the time, it is a machine that has no time for us. */
const starved = { delayMs: 20, cpuRatio: 0.9 };

/**
 * Tells whether the process of the load was given the CPU that it wanted: how late its timers are, and how much it used itself. A
 * figure of a run in which it was not says more of the machine than of the client.
 */
export function pulse() {
  const lateness = monitorEventLoopDelay({ resolution: 10 });
  lateness.enable();
  const since = performance.now();
  const used = process.cpuUsage();
  return () => {
    lateness.disable();
    const { user, system } = process.cpuUsage(used);
    // The timer's own step is in each sample.
    const delayMs = Math.max(0, lateness.percentile(99) / 1e6 - 10);
    return { delayMs, cpuRatio: (user + system) / 1000 / (performance.now() - since) };
  };
}

/** What there is to say of a phase whose process had to wait for the machine, in a line; else `undefined`. */
export function starvation({ delayMs, cpuRatio }) {
  if (!(delayMs > starved.delayMs)) return undefined;
  const late = `one in a hundred timers of the load was over ${delayMs.toFixed(0)} ms late`;
  const share = `${(cpuRatio * 100).toFixed(0)} % of a CPU`;
  return cpuRatio < starved.cpuRatio
    ? `${late} while it used ${share}: the machine was busy with something else, run it again when it is not`
    : `${late}, and it used ${share}: the load was more than this machine can send, try a lower --rps`;
}
