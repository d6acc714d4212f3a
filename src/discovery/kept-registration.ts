import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from './backoff.js';
import { type DiscoveryEvent, reasonOf } from './discovery-event.js';
import type { ServiceInstance } from './instance.js';
import { Pause } from './pause.js';
import { NotRegistered, RegistryRefusal } from './refusal.js';
import type { Registration } from './registrar.js';

/** How a step is to be done. */
export interface Trial {
  /** Within this it has to end, one way or the other; milliseconds. */
  readonly timeoutMs: number;
  /** Whether the process has to stay for the answer: somebody awaits it. */
  readonly holdsProcess: boolean;
}

/**
 * How one instance gets into one kind of registry, stays there and gets out. Each rejects with a {@link
 * RegistryRefusal} when the registry says no, and with any other error when it says nothing to the purpose.
 */
export interface Tenure {
  /** Writes it, together with whatever makes it expire. Replaces what is there already under its name. */
  put(trial: Trial): Promise<void>;
  /** Renews it. Rejects with {@link NotRegistered} when it is gone: then it is put again, at once. */
  keep(trial: Trial): Promise<void>;
  /** Takes it out. That it is not there is success, or {@link NotRegistered}. */
  remove(trial: Trial): Promise<void>;
}

/** What a {@link KeptRegistration} needs. */
export interface KeptRegistrationInit {
  readonly tenure: Tenure;
  readonly clock: Clock;
  readonly random: Random;
  readonly renewMs: number;
  /** How long a renewal, the first registration and the taking out may take, these two over all tries; milliseconds. */
  readonly requestTimeoutMs: number;
  readonly tell: (event: DiscoveryEvent) => void;
  /** Failures in a row after which there is nobody left who was not asked, and a blip is ruled out; 2 if not given. */
  readonly round?: (() => number) | undefined;
}

const retries: Backoff = { firstMs: 1_000, maxMs: 15_000 };
const refusals: Backoff = { firstMs: 5_000, maxMs: 300_000 };
/** Least time between two tries, whatever the jitter. */
const gapMs = 100;

type Verdict = 'ok' | 'missing' | 'refused' | 'silent';

/** One instance that is being kept in the registry. */
export class KeptRegistration implements Registration {
  private known = false;
  private over = false;
  private failures = 0;
  /** What was told last. */
  private told: 'registered' | 'lost' | 'refused' | undefined;
  private lastReason = '';
  private last: Verdict = 'silent';
  private readonly pause: Pause;
  private loop: Promise<void> = Promise.resolve();
  private leaving: Promise<void> | undefined;

  constructor(
    private readonly instance: ServiceInstance,
    private readonly init: KeptRegistrationInit,
  ) {
    this.pause = new Pause(init.clock);
  }

  get registered(): boolean {
    return this.known && this.told === 'registered';
  }

  /**
   * Registers with the first that answers, for as long as one request may take; then keeps at it in the background.
   *
   * @throws Error when the registry refuses
   */
  async start(): Promise<void> {
    const first = this.begin();
    this.loop = first.catch(() => undefined);
    await first;
    this.loop = this.keep();
  }

  /** The registry told, unasked, that it is gone: written anew at once. */
  gone(reason: string): void {
    if (this.over || !this.known) return;
    this.known = false;
    this.last = 'missing';
    this.lastReason = reason;
    this.become('lost');
    this.pause.wake();
  }

  private get round(): number {
    return this.init.round?.() ?? 2;
  }

  private async begin(): Promise<void> {
    const { clock, requestTimeoutMs } = this.init;
    const until = clock.now() + requestTimeoutMs;
    for (let left = this.round; left > 0 && !this.known && !this.over; left--) {
      await this.step({ holdsProcess: true, timeoutMs: Math.max(1, until - clock.now()) });
      if (this.last === 'refused') {
        this.over = true;
        throw new Error(`the registry refused ${this.instance.service}: ${this.lastReason}`);
      }
      if (clock.now() >= until) return;
    }
  }

  deregister(): Promise<void> {
    this.leaving ??= this.leave();
    return this.leaving;
  }

  private async keep(): Promise<void> {
    while (!this.over) {
      await this.pause.wait(this.delayMs());
      if (!this.over) await this.step({ holdsProcess: false, timeoutMs: this.init.requestTimeoutMs });
    }
  }

  private delayMs(): number {
    const { random, renewMs } = this.init;
    if (this.last === 'refused') return gapMs + fullJitterMs(this.failures, random, refusals);
    if (this.last === 'silent')
      return gapMs + Math.min(renewMs, fullJitterMs(this.failures, random, retries));
    // Never more than asked: the server counts on two renewals a minute before it doubts itself.
    return this.known ? renewMs * (0.8 + 0.2 * random()) : 0;
  }

  /** One registration or renewal. Never throws. */
  private async step(trial: Trial): Promise<void> {
    const { tenure } = this.init;
    this.last = await this.tried(() => (this.known ? tenure.keep(trial) : tenure.put(trial)));
    // Nobody registers what is there already: that it is missing is no answer, and must not be followed at once by
    // another try.
    if (this.last === 'missing' && !this.known) this.last = 'refused';
    this.failures = this.last === 'ok' || this.last === 'missing' ? 0 : this.failures + 1;
    if (this.last === 'ok') this.become('registered');
    else if (this.last === 'refused') this.become('refused');
    else if (this.last === 'missing' || this.failures >= this.round) this.become('lost');
    // Who forgot us, or will not renew what it once took, has to be told everything again; silence says
    // nothing.
    if (this.last !== 'silent') this.known = this.last === 'ok';
  }

  private become(type: 'registered' | 'lost' | 'refused'): void {
    if (this.told === type) return;
    this.told = type;
    const reason = type === 'registered' ? undefined : this.lastReason;
    this.init.tell({ type, service: this.instance.service, reason });
  }

  private async tried(run: () => Promise<void>): Promise<Verdict> {
    try {
      await run();
      return 'ok';
    } catch (error) {
      this.lastReason = reasonOf(error);
      if (error instanceof NotRegistered) return 'missing';
      return error instanceof RegistryRefusal ? 'refused' : 'silent';
    }
  }

  private async leave(): Promise<void> {
    const { clock, tenure, requestTimeoutMs, tell } = this.init;
    const { service } = this.instance;
    this.over = true;
    this.pause.end();
    // A renewal that finds the instance gone would register anew behind our back: first it has to end.
    await this.loop;
    this.known = false;
    const until = clock.now() + requestTimeoutMs;
    for (let left = this.round; left > 0; left--) {
      const trial = { holdsProcess: true, timeoutMs: Math.max(1, until - clock.now()) };
      const verdict = await this.tried(() => tenure.remove(trial));
      if (verdict === 'ok' || verdict === 'missing') return tell({ type: 'deregistered', service });
      if (clock.now() >= until) break;
    }
    tell({ type: 'abandoned', service, reason: this.lastReason });
  }
}
