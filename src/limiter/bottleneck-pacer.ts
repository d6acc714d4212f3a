import type { Call } from '../core/call.js';
import { refusal } from '../core/errors.js';
import { Lane, type LaneUser } from './bottleneck-lane.js';
import type { BottleneckClass, BottleneckLike } from './bottleneck-like.js';
import type { QuotaSettings } from './bottleneck-options.js';
import type { Place } from './bottleneck-place.js';
import { type Lanes, Queue, type QueueRules, type Way } from './bottleneck-queue.js';
import { heal, RedisLink } from './bottleneck-redis.js';
import { limitsOf, paceMs } from './bottleneck-share.js';
import { Watch } from './bottleneck-watch.js';

/** Redis forgets a key that nobody used for so long. */
const keyTtlMs = 300_000;
/** Longest wait for calls under way, at the end. */
const endMs = 5000;

const keyReaders = {
  key: (call: Call): string => call.key ?? '',
  operation: (call: Call): string => call.operation,
};

function readerOf(by: QuotaSettings['by']): (call: Call) => string {
  if (by === undefined) return () => '';
  return typeof by === 'function' ? by : keyReaders[by];
}

/** All queues of one quota, one for each key, and what they share: the connection to Redis and the watch over it. */
export class Pacer {
  private readonly queues = new Map<string, Queue>();
  private readonly link: RedisLink | undefined;
  private readonly watch: Watch;
  private readonly rules: QueueRules;
  private readonly keyOf: (call: Call) => string;
  /** Whose limiter is asked whether Redis answers. */
  private latest: Queue | undefined;
  private ended: Promise<void> | undefined;
  private emptied: (() => void) | undefined;

  constructor(private readonly settings: QuotaSettings) {
    const { Bottleneck, limiter, redis, clock, awayAfterMs } = settings;
    this.keyOf = readerOf(settings.by);
    this.link = Bottleneck && redis ? new RedisLink(Bottleneck, redis) : undefined;
    if (limiter !== undefined) heal(limiter);
    const watched = {
      awaited: () => this.waiting > 0,
      ask: () => this.latest?.probe() ?? Promise.resolve(),
      changed: () => {
        for (const queue of this.queues.values()) queue.rearrange();
      },
      longAway: () => this.link?.reconnect(),
    };
    this.watch = new Watch(watched, clock, awayAfterMs);
    this.rules = this.rulesOf(settings);
  }

  get waiting(): number {
    let waiting = 0;
    for (const queue of this.queues.values()) waiting += queue.waiting;
    return waiting;
  }
  get running(): number {
    let running = 0;
    for (const queue of this.queues.values()) running += queue.running;
    return running;
  }
  get keys(): number {
    return this.queues.size;
  }
  get away(): boolean {
    return this.watch.away;
  }

  /** Resolves with a place for the call. */
  enter(call: Call): Promise<Place> {
    try {
      return this.queueOf(call).enter(call, this.settings.clock.now());
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  stop(): Promise<void> {
    this.ended ??= this.end();
    return this.ended;
  }

  private rulesOf({ clock, maxWaiting, maxWaitMs, awayAfterMs, ...settings }: QuotaSettings): QueueRules {
    const { maxConcurrent = Number.POSITIVE_INFINITY, reservoir = Number.POSITIVE_INFINITY } = settings;
    const most = Math.max(reservoir, settings.refreshAmount ?? 0);
    return {
      clock,
      maxWaiting,
      maxWaitMs,
      awayAfterMs,
      paceMs: paceMs(this.settings),
      maxCost: Math.min(maxConcurrent, most),
      way: (): Way => (this.watch.away ? settings.whenAway : 'usual'),
      awaited: (queue) => {
        this.latest = queue;
        this.watch.look();
      },
      broken: (error) => this.watch.failed(error),
      cause: () => this.watch.cause,
      left: () => {
        if (this.running === 0) this.emptied?.();
      },
    };
  }

  private async end(): Promise<void> {
    const { clock } = this.settings;
    this.watch.stop();
    for (const queue of this.queues.values()) queue.end();
    if (this.running > 0)
      await new Promise<void>((resolve) => {
        const timer = clock.after(endMs, resolve);
        this.emptied = () => {
          timer.cancel();
          resolve();
        };
      });
    if (this.link !== undefined) {
      // Bottleneck tells Redis of the end of a call some promises after it; what is written before the goodbye arrives.
      await new Promise<void>((resolve) => void clock.after(0, resolve));
      await this.link.close(clock);
    }
    for (const queue of this.queues.values()) queue.close();
  }

  private queueOf(call: Call): Queue {
    const key = this.keyOf(call);
    let queue = this.queues.get(key);
    if (queue !== undefined) {
      // The last of a Map is what was put in last: so it is in the order of use.
      if (this.settings.by !== undefined) this.queues.delete(key);
    } else {
      if (this.queues.size >= this.settings.maxKeys) this.forgetOne(call);
      queue = new Queue(this.rules, (user) => this.lanesFor(user, key));
      // In place of one that was forgotten: while Redis is away somebody has to be asked whether it is back.
      this.latest ??= queue;
      if (this.ended !== undefined) queue.end();
    }
    this.queues.set(key, queue);
    return queue;
  }

  private forgetOne({ service, operation, side }: Call): void {
    for (const [key, queue] of this.queues) {
      if (!queue.idle) continue;
      this.queues.delete(key);
      if (this.latest === queue) this.latest = undefined;
      queue.close();
      return;
    }
    const message = `${service} ${operation}: ${this.queues.size} keys of its quota are in use`;
    throw refusal('RATE_LIMITED', message, { service, side });
  }

  private lanesFor(user: LaneUser, key: string): Lanes {
    const { limiter, Bottleneck, clock, reservoir, whenAway, instances } = this.settings;
    if (limiter !== undefined) {
      const shared = limiter.datastore === 'ioredis';
      const expirationMs = shared ? this.settings.expirationMs : undefined;
      const parts = { make: () => limiter, shared, own: false, reservoir: true, expirationMs, clock };
      return { main: new Lane(user, parts), share: undefined };
    }
    const shared = this.link !== undefined;
    const own = { own: true, reservoir: reservoir !== undefined, clock };
    const make = (options: object): BottleneckLike => new (Bottleneck as BottleneckClass)({ ...options });
    const local = (count: number): Lane =>
      new Lane(user, {
        ...own,
        shared: false,
        expirationMs: undefined,
        make: () => make(limitsOf(this.settings, count)),
      });
    if (!shared) return { main: local(1), share: undefined };
    const main = new Lane(user, {
      ...own,
      shared: true,
      expirationMs: this.settings.expirationMs,
      make: () =>
        make({ ...limitsOf(this.settings), ...this.placeOf(key), connection: this.link?.connection }),
    });
    return { main, share: whenAway === 'local' ? local(instances) : undefined };
  }

  /** Braces keep the keys of one limiter together in a cluster. */
  private placeOf(key: string): { id: string; timeout: number | null } {
    const { id, by, refreshMs = 0, increaseMs = 0 } = this.settings;
    if (by === undefined) return { id: `{${id}}`, timeout: null };
    return { id: `{${id}:${key}}`, timeout: Math.max(keyTtlMs, 2 * refreshMs, 2 * increaseMs) };
  }
}
