import type { LoadHost, LoopTimes } from './load-host.js';

/** The share of each interval in which this thread's event loop had something to run. */
export class LoopMeter {
  /** Of the last interval; `undefined` before the first and where the platform does not count. */
  utilization: number | undefined = undefined;
  private last: LoopTimes | undefined;

  constructor(private readonly host: LoadHost) {
    this.last = this.read();
  }

  /** Whether the platform counts. */
  get works(): boolean {
    return this.last !== undefined;
  }

  /** Ends an interval. @returns whether it says anything */
  sample(): boolean {
    const before = this.last;
    const times = this.read();
    this.utilization = undefined;
    if (times === undefined) return false;
    this.last = times;
    if (before === undefined) return false;
    // Rounding can make a total that stood still fall by a hair.
    const active = Math.max(0, times.active - before.active);
    const idle = Math.max(0, times.idle - before.idle);
    // The totals stand still until the loop has turned once; 0 of 0 is no utilization.
    if (!(active + idle > 0)) return false;
    this.utilization = active / (active + idle);
    return true;
  }

  private read(): LoopTimes | undefined {
    try {
      const times = this.host.eventLoop();
      return times && Number.isFinite(times.active) && Number.isFinite(times.idle) ? times : undefined;
    } catch {
      return undefined;
    }
  }
}
