import { type CgroupCpu, type CgroupReader, findCgroup } from './cgroup.js';
import type { LoadHost } from './load-host.js';

/** How much of the CPU that this process may use is used, interval by interval. */
export class CpuMeter {
  /** What the numbers are made of; `undefined` if this platform tells nothing. */
  source: 'cgroup-v1' | 'cgroup-v2' | 'process' | undefined;
  /** Used against usable in the last interval. */
  cpuRatio: number | undefined = undefined;
  /** Share of the quota's periods in which all threads were held back; without a quota, 0. */
  throttledRatio: number | undefined = undefined;
  /** How many CPUs may be used. */
  cpus: number;

  private readonly group: CgroupReader | undefined;
  private last: CgroupCpu | undefined;
  private lastAt: number;

  /**
   * @param host - where the numbers come from
   * @param given - how many CPUs may be used, if the user knows better
   */
  constructor(
    private readonly host: LoadHost,
    private readonly given: number | undefined,
    now: number,
  ) {
    this.group = findCgroup((path) => host.readFile(path));
    this.last = this.read();
    this.lastAt = now;
    this.source = this.sourceOf(this.last);
    this.cpus = this.usable(this.last);
  }

  /** Ends an interval. @returns whether it says anything */
  sample(now: number): boolean {
    const before = this.last;
    const elapsedMs = now - this.lastAt;
    const reading = this.read();
    this.cpuRatio = undefined;
    this.throttledRatio = undefined;
    if (reading === undefined) return false;
    this.last = reading;
    this.lastAt = now;
    this.cpus = this.usable(reading);
    this.source = this.sourceOf(reading);
    // A quota that came or went: the two readings count different things.
    if (before?.limited !== reading.limited) return false;
    // Counters that fell belong to another group, a clock that stepped back to another interval: both start afresh.
    const usedMs = before === undefined ? Number.NaN : reading.usedMs - before.usedMs;
    if (before === undefined || !(elapsedMs > 0 && usedMs >= 0)) return false;
    this.cpuRatio = usedMs / (elapsedMs * this.cpus);
    if (reading.limited) this.throttledRatio = share(reading, before);
    return true;
  }

  private usable(reading: CgroupCpu | undefined): number {
    if (this.given !== undefined) return this.given;
    let cpus = 1;
    try {
      cpus = this.host.cpus();
    } catch {
      // One is the least there can be.
    }
    return Math.min(reading?.cpus ?? Number.POSITIVE_INFINITY, cpus >= 1 ? cpus : 1);
  }

  private sourceOf(reading: CgroupCpu | undefined): CpuMeter['source'] {
    return reading && (reading.limited ? this.group?.version : 'process');
  }

  /**
   * Without a quota nobody holds the group back, and on a plain host it is the whole machine: then only this process
   * counts, or a busy neighbour would make an idle service refuse.
   */
  private read(): CgroupCpu | undefined {
    const group = this.group?.read();
    if (this.group && (group === undefined || group.limited)) return group;
    try {
      const usedMs = this.host.processCpuMs();
      if (usedMs === undefined || !(usedMs >= 0)) return undefined;
      const cpus = group?.cpus ?? Number.POSITIVE_INFINITY;
      return { usedMs, periods: 0, throttled: 0, limited: false, cpus };
    } catch {
      return undefined;
    }
  }
}

function share(reading: CgroupCpu, before: CgroupCpu): number {
  const periods = reading.periods - before.periods;
  const throttled = reading.throttled - before.throttled;
  return periods > 0 && throttled > 0 ? throttled / periods : 0;
}
