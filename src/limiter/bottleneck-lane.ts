import type { Clock } from '../core/clock.js';
import type { BottleneckJob, BottleneckLike, LimiterInside } from './bottleneck-like.js';

/** Who asks a {@link Lane} for places. */
export interface LaneUser {
  /** A place of that weight was given. It is held until the promise is fulfilled; `undefined`: nobody wants it any more. */
  granted(lane: Lane, weight: number): PromiseLike<void> | undefined;
  /** A place of that weight was asked for, and none will be given. */
  failed(lane: Lane, weight: number, error: unknown): void;
}

/** What a {@link Lane} is made of. */
export interface LaneParts {
  /** Makes the limiter. Again if its first connection to the store failed: bottleneck never tries a second time. */
  readonly make: () => BottleneckLike;
  /** Whether its store is shared, and may go away. */
  readonly shared: boolean;
  /** Whether the limiter is ours to let go of. */
  readonly own: boolean;
  /** Whether there may be a reservoir, to which a place that was not used goes back. */
  readonly reservoir: boolean;
  /** See `expirationMs`. */
  readonly expirationMs: number | undefined;
  readonly clock: Clock;
}

/** Between two tries to make a limiter whose store refused it. */
const remakeMs = 1000;

const drop = (): void => undefined;

/**
 * One limiter of bottleneck, asked for places instead of given calls. What waits, waits in a queue of our own: bottleneck
 * cannot take a job out of its own, and a call that was cancelled there would still use up its place. So only a few
 * places are asked for at a time, and each goes to whoever is first when it comes.
 */
export class Lane {
  /** Places asked for and not yet given, by weight. */
  readonly asked = new Map<number, number>();
  /** Sum of the former. */
  pending = 0;
  private limiter: BottleneckLike | undefined;
  private madeAt = Number.NEGATIVE_INFINITY;
  private closed = false;

  constructor(
    private readonly user: LaneUser,
    private readonly parts: LaneParts,
  ) {}

  get shared(): boolean {
    return this.parts.shared;
  }

  /** Asks for one place. */
  ask(weight: number): void {
    this.count(weight, 1);
    let waiting = true;
    const answered = (): void => {
      if (waiting) this.count(weight, -1);
      waiting = false;
    };
    const { expirationMs } = this.parts;
    const job: BottleneckJob = expirationMs === undefined ? { weight } : { weight, expiration: expirationMs };
    const run = async (): Promise<void> => {
      answered();
      const held = this.closed ? undefined : this.user.granted(this, weight);
      if (held === undefined) this.giveBack(weight);
      else await held;
    };
    this.schedule(job, run).catch((error: unknown) => {
      // After the place was given: its time ran out in the store, or the store could not be told of its end.
      if (!waiting) return;
      answered();
      if (!this.closed) this.user.failed(this, weight, error);
    });
  }

  /** Something that has to be answered and changes nothing; also makes bottleneck look after what waits. */
  async probe(): Promise<void> {
    const limiter = this.current();
    await limiter.running();
    // A message of Redis that it was waiting for may be lost: then nothing else would make it look again.
    if (this.pending > 0) await (limiter as unknown as LimiterInside)._drainAll();
  }

  /** A place was given and then not used. Only a reservoir remembers; time that has passed cannot be given back. */
  giveBack(weight: number): void {
    const { limiter } = this;
    if (!this.parts.reservoir || weight === 0 || limiter === undefined) return;
    limiter
      .currentReservoir()
      .then((left) => (left === null ? 0 : limiter.incrementReservoir(weight)))
      .catch(drop);
  }

  close(): void {
    this.closed = true;
    this.letGo(this.limiter);
    this.limiter = undefined;
  }

  private schedule(job: BottleneckJob, run: () => Promise<void>): Promise<unknown> {
    try {
      return this.current().schedule(job, run);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private current(): BottleneckLike {
    if (this.limiter !== undefined) return this.limiter;
    const limiter = this.parts.make();
    this.limiter = limiter;
    this.madeAt = this.parts.clock.now();
    limiter.ready().catch(() => this.remake(limiter));
    return limiter;
  }

  private remake(limiter: BottleneckLike): void {
    this.letGo(limiter);
    const { clock } = this.parts;
    const waitMs = Math.max(0, this.madeAt + remakeMs - clock.now());
    clock.after(waitMs, () => {
      if (this.limiter === limiter) this.limiter = undefined;
    });
  }

  private letGo(limiter: BottleneckLike | undefined): void {
    if (!this.parts.own || limiter === undefined) return;
    const { connection } = limiter as unknown as LimiterInside;
    try {
      // Timers of places that come later would hold the process. A store that is there has to be told of them as ever.
      if (connection?.terminated !== false) limiter.stop({ dropWaitingJobs: true }).catch(drop);
      const gone = limiter.disconnect(false);
      if (gone instanceof Promise) gone.catch(drop);
    } catch {
      // It never came up.
    }
  }

  private count(weight: number, by: number): void {
    this.pending += by;
    const count = (this.asked.get(weight) ?? 0) + by;
    if (count > 0) this.asked.set(weight, count);
    else this.asked.delete(weight);
  }
}
