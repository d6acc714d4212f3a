import { checkNumber } from '../core/options.js';
import type { Random } from '../core/random.js';
import type { EventQueue } from './event-queue.js';

/** How one simulated server behaves. */
export interface SimulatedServerOptions {
  /** How long a call takes without waiting, in milliseconds, 0 or more: the mean of an exponential distribution, or what a function draws. */
  readonly serviceMs: number | ((random: Random) => number);
  /**
   * How many calls it works on at once; the others wait in line. A whole number, 1 or more.
   *
   * @defaultValue `1`
   */
  readonly workers?: number | undefined;
  /**
   * Share of its calls that fail, 0 to 1.
   *
   * @defaultValue `0`
   */
  readonly failRatio?: number | undefined;
  /**
   * How long a failure takes, in milliseconds, 0 or more, without waiting in line: a fast failure is what lures balancers.
   *
   * @defaultValue `1`
   */
  readonly failMs?: number | undefined;
  /**
   * Share of the traffic that it should get.
   *
   * @defaultValue `100`
   */
  readonly weight?: number | undefined;
  /**
   * Failure domain.
   *
   * @defaultValue none
   */
  readonly zone?: string | undefined;
}

/** Defaults of {@link SimulatedServerOptions}. */
export const simulatedServerDefaults = {
  workers: 1,
  failRatio: 0,
  failMs: 1,
  weight: 100,
  zone: undefined,
} as const;

/** What one simulated server saw. */
export interface ServerReport {
  /** Calls that came. */
  readonly calls: number;
  /** Calls that failed. */
  readonly failures: number;
  /** Most calls that waited or were worked on at one time. */
  readonly mostInside: number;
}

type Done = (failed: boolean, at: number) => void;

function check({ serviceMs, workers, failRatio, failMs }: SimulatedServerOptions): void {
  if (typeof serviceMs !== 'function') checkNumber('server.serviceMs', serviceMs, { min: 0 });
  if (workers !== undefined) checkNumber('server.workers', workers, { min: 1, integer: true });
  if (failRatio !== undefined) checkNumber('server.failRatio', failRatio, { min: 0, max: 1 });
  if (failMs !== undefined) checkNumber('server.failMs', failMs, { min: 0 });
}

/** A server with a line before it. Its time is that of the queue of events. */
export class SimulatedServer {
  private readonly line: Done[] = [];
  private busy = 0;
  private calls = 0;
  private failures = 0;
  private mostInside = 0;

  constructor(
    private options: SimulatedServerOptions,
    private readonly queue: EventQueue,
    private readonly random: Random,
  ) {
    check(options);
  }

  change(options: SimulatedServerOptions): void {
    check(options);
    this.options = options;
  }

  serve(now: number, done: Done): void {
    this.calls++;
    const { workers = simulatedServerDefaults.workers, failMs = simulatedServerDefaults.failMs } =
      this.options;
    const { failRatio = simulatedServerDefaults.failRatio } = this.options;
    if (failRatio > 0 && this.random() < failRatio) {
      this.failures++;
      this.queue.add(now + failMs, (at) => done(true, at));
      return;
    }
    if (this.busy < workers) this.work(now, done);
    else this.line.push(done);
    this.mostInside = Math.max(this.mostInside, this.busy + this.line.length);
  }

  report(): ServerReport {
    const { calls, failures, mostInside } = this;
    return { calls, failures, mostInside };
  }

  private work(now: number, done: Done): void {
    this.busy++;
    const { serviceMs } = this.options;
    const tookMs =
      typeof serviceMs === 'function' ? serviceMs(this.random) : -serviceMs * Math.log(1 - this.random());
    this.queue.add(now + Math.max(0, tookMs), (at) => {
      this.busy--;
      const next = this.line.shift();
      if (next) this.work(at, next);
      done(false, at);
    });
  }
}
