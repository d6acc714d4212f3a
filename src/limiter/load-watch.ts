import type { Clock, Timer } from '../core/clock.js';
import { Ewma } from '../stats/ewma.js';
import { CpuMeter } from './cpu-meter.js';
import type { LoadHost } from './load-host.js';
import { LoopMeter } from './loop-meter.js';

/** What a load signal is made of on this platform. */
export type LoadSource = 'event-loop' | 'timer-delay' | 'cgroup-v1' | 'cgroup-v2' | 'process';

/** The checked options of a load signal. */
export interface WatchSettings {
  readonly intervalMs: number;
  readonly cpuIntervalMs: number;
  readonly smoothingMs: number;
  readonly fullDelayMs: number;
  readonly cpus: number | undefined;
  readonly clock: Clock;
  readonly host: LoadHost;
}

/** One run of a load signal, from start to stop. */
export class LoadWatch {
  readonly loop: LoopMeter;
  readonly cpu: CpuMeter;
  /** How late the last tick was; milliseconds. */
  delayMs: number | undefined = undefined;

  private readonly loopLoad: Ewma;
  private readonly delayLoad: Ewma;
  private readonly cpuLoad: Ewma;
  private timer: Timer | undefined;
  private cpuAt: number;

  constructor(private readonly settings: WatchSettings) {
    const { clock, host, cpus, smoothingMs } = settings;
    const now = clock.now();
    this.loop = new LoopMeter(host);
    this.cpu = new CpuMeter(host, cpus, now);
    this.cpuAt = now;
    this.loopLoad = new Ewma(smoothingMs);
    this.delayLoad = new Ewma(smoothingMs);
    this.cpuLoad = new Ewma(smoothingMs);
    // From 0: the first interval, in which a process is busy starting, would otherwise count in full.
    for (const load of [this.loopLoad, this.delayLoad, this.cpuLoad]) load.set(0, now);
    this.arm(now);
  }

  /** The highest: whatever is short first is what calls will wait for. */
  get value(): number {
    return Math.max(this.loopLoad.value, this.delayLoad.value, this.cpuLoad.value);
  }

  get sources(): readonly LoadSource[] {
    const sources: LoadSource[] = this.loop.works ? ['event-loop', 'timer-delay'] : ['timer-delay'];
    return this.cpu.source === undefined ? sources : [...sources, this.cpu.source];
  }

  stop(): void {
    this.timer?.cancel();
  }

  private arm(now: number): void {
    const { clock, intervalMs } = this.settings;
    this.timer = clock.after(intervalMs, () => this.tick(now + intervalMs));
  }

  private tick(dueAt: number): void {
    const now = this.settings.clock.now();
    this.arm(now);
    this.delayMs = Math.max(0, now - dueAt);
    this.delayLoad.add(Math.min(1, this.delayMs / this.settings.fullDelayMs), now);
    // What cannot be measured any more counts as 0: a load that stands still would make a limiter refuse for ever.
    this.loopLoad.add(this.loop.sample() ? (this.loop.utilization ?? 0) : 0, now);
    this.sampleCpu(now);
  }

  private sampleCpu(now: number): void {
    const elapsed = now - this.cpuAt;
    // Negative after the clock stepped back: then the interval starts anew.
    if (elapsed >= 0 && elapsed < this.settings.cpuIntervalMs) return;
    this.cpuAt = now;
    const known = this.cpu.sample(now);
    const { cpuRatio = 0, throttledRatio = 0 } = this.cpu;
    this.cpuLoad.add(known ? Math.min(1, Math.max(cpuRatio, throttledRatio)) : 0, now);
  }
}
