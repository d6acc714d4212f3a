import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from './backoff.js';
import { type DiscoveryEvent, reasonOf } from './discovery-event.js';
import { identityForm, registrationForm } from './discovery-wire.js';
import type { ServiceInstance } from './instance.js';
import { Pause } from './pause.js';
import type { Registration } from './registrar.js';
import type { Session } from './session.js';

/** What a {@link KeptRegistration} needs. */
export interface KeptRegistrationInit {
  readonly session: Session;
  readonly clock: Clock;
  readonly random: Random;
  readonly renewMs: number;
  /** How long the first registration and the taking out may take, each over all tries; milliseconds. */
  readonly requestTimeoutMs: number;
  readonly tell: (event: DiscoveryEvent) => void;
}

const retries: Backoff = { firstMs: 1_000, maxMs: 15_000 };
const refusals: Backoff = { firstMs: 5_000, maxMs: 300_000 };
/** Least time between two tries, whatever the jitter. */
const gapMs = 100;
const missing = -404;

type Verdict = 'ok' | 'missing' | 'refused' | 'silent';

interface How {
  readonly holdsProcess: boolean;
  readonly timeoutMs?: number;
}

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
   * Registers at the first node that answers, for as long as one request may take; then keeps at it in the background.
   *
   * @throws Error when a node refuses
   */
  async start(): Promise<void> {
    const first = this.begin();
    this.loop = first.catch(() => undefined);
    await first;
    this.loop = this.keep();
  }

  private async begin(): Promise<void> {
    const { clock, session, requestTimeoutMs } = this.init;
    const until = clock.now() + requestTimeoutMs;
    for (let left = session.round; left > 0 && !this.known && !this.over; left--) {
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
      if (!this.over) await this.step({ holdsProcess: false });
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
  private async step(how: How): Promise<void> {
    this.last = this.known
      ? await this.post('/discovery/renew', identityForm(this.instance), how)
      : await this.post('/discovery/register', registrationForm(this.instance), how);
    // Nobody registers what is there already: that it is missing is no answer, and must not be followed at once by
    // another try.
    if (this.last === 'missing' && !this.known) this.last = 'refused';
    this.failures = this.last === 'ok' || this.last === 'missing' ? 0 : this.failures + 1;
    if (this.last === 'ok') this.become('registered');
    else if (this.last === 'refused') this.become('refused');
    else if (this.last === 'missing' || this.failures >= this.init.session.round) this.become('lost');
    // A node that forgot us, or will not renew what it once took, has to be told everything again; silence says
    // nothing.
    if (this.last !== 'silent') this.known = this.last === 'ok';
  }

  private become(type: 'registered' | 'lost' | 'refused'): void {
    if (this.told === type) return;
    this.told = type;
    const reason = type === 'registered' ? undefined : this.lastReason;
    this.init.tell({ type, service: this.instance.service, reason });
  }

  private async post(path: string, form: URLSearchParams, how: How): Promise<Verdict> {
    const { session } = this.init;
    try {
      const { code, message } = await session.ask(session.node, { method: 'POST', path, form, ...how });
      if (code === 0) return 'ok';
      this.lastReason = `code ${code} ${message}`;
      return code === missing ? 'missing' : 'refused';
    } catch (error) {
      this.lastReason = reasonOf(error);
      return 'silent';
    }
  }

  private async leave(): Promise<void> {
    const { clock, session, requestTimeoutMs, tell } = this.init;
    const { service } = this.instance;
    this.over = true;
    this.pause.end();
    // A renewal that is answered with -404 would register anew behind our back: first it has to end.
    await this.loop;
    this.known = false;
    const until = clock.now() + requestTimeoutMs;
    for (let left = session.round; left > 0; left--) {
      const timeoutMs = Math.max(1, until - clock.now());
      const form = identityForm(this.instance);
      const verdict = await this.post('/discovery/cancel', form, { holdsProcess: true, timeoutMs });
      if (verdict === 'ok' || verdict === 'missing') return tell({ type: 'deregistered', service });
      if (clock.now() >= until) break;
    }
    tell({ type: 'abandoned', service, reason: this.lastReason });
  }
}
