import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from './backoff.js';
import { type DiscoveryEvent, reasonOf } from './discovery-event.js';
import type { ServiceInstance } from './instance.js';
import { Pause } from './pause.js';
import type { Registrar, Registration } from './registrar.js';
import { within } from './within.js';

/** What a {@link JointRegistration} needs. */
export interface JointRegistrationInit {
  readonly registrars: readonly Registrar[];
  /** How long a slower one keeps a faster one waiting; milliseconds. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly tell: (event: DiscoveryEvent) => void;
}

const refusals: Backoff = { firstMs: 5_000, maxMs: 300_000 };
/** Least time between two tries, whatever the jitter. */
const gapMs = 100;

/** The same instance in one of the registries. */
class Part {
  state: 'pending' | 'taken' | 'refused' = 'pending';
  error: unknown;
  registration: Registration | undefined;
  private over = false;
  private readonly pause: Pause;
  private under: Promise<void> = Promise.resolve();

  constructor(
    private readonly registrar: Registrar,
    private readonly instance: ServiceInstance,
    private readonly init: JointRegistrationInit,
  ) {
    this.pause = new Pause(init.clock);
  }

  /** One registration. Never rejects. */
  attempt(): Promise<void> {
    this.under = this.once();
    return this.under;
  }

  /** Goes on trying where it was refused. */
  async insist(): Promise<void> {
    const { random, tell } = this.init;
    const { service } = this.instance;
    await this.under;
    for (let failures = 1; this.state === 'refused' && !this.over; failures++) {
      if (failures === 1) tell({ type: 'refused', service, reason: reasonOf(this.error) });
      await this.pause.wait(gapMs + fullJitterMs(failures, random, refusals));
      if (this.over) return;
      await this.attempt();
      if (this.registration && !this.over) tell({ type: 'registered', service });
    }
  }

  async leave(): Promise<void> {
    const { clock, waitMs } = this.init;
    this.over = true;
    this.pause.end();
    // Who answers later than that is taken out when he does.
    await within({ clock, timeoutMs: waitMs }, () => this.under).catch(() => undefined);
    await this.takeOut();
  }

  private async once(): Promise<void> {
    try {
      this.registration = await this.registrar.register(this.instance);
      this.state = 'taken';
    } catch (error) {
      this.error = error;
      this.state = 'refused';
    }
    if (this.over) await this.takeOut();
  }

  private async takeOut(): Promise<void> {
    try {
      await this.registration?.deregister();
    } catch {
      // A registrar of the user's own; what is left there expires.
    }
  }
}

/** One instance in several registries at once. Each goes its own way: none stops, delays or takes out another. */
export class JointRegistration implements Registration {
  private readonly parts: readonly Part[];
  private leaving: Promise<void> | undefined;

  constructor(
    private readonly instance: ServiceInstance,
    private readonly init: JointRegistrationInit,
  ) {
    this.parts = init.registrars.map((registrar) => new Part(registrar, instance, init));
  }

  get registered(): boolean {
    return this.leaving === undefined && this.parts.some(({ registration }) => registration?.registered);
  }

  /**
   * Registers everywhere; waits for all, but no longer than `waitMs` once one has taken it.
   *
   * @throws Error when all refuse: the error of the only one, or an AggregateError
   */
  async start(): Promise<void> {
    await this.begun();
    if (this.parts.some(({ state }) => state !== 'refused')) {
      for (const part of this.parts) void part.insist();
      return;
    }
    const errors = this.parts.map(({ error }) => error);
    if (errors.length === 1) throw errors[0];
    const reasons = errors.map(reasonOf).join('; ');
    throw new AggregateError(errors, `every registry refused ${this.instance.service}: ${reasons}`);
  }

  deregister(): Promise<void> {
    this.leaving ??= Promise.all(this.parts.map((part) => part.leave())).then(() => undefined);
    return this.leaving;
  }

  private begun(): Promise<void> {
    const { clock, waitMs } = this.init;
    return new Promise((resolve) => {
      let patient = true;
      const look = (): void => {
        const states = this.parts.map(({ state }) => state);
        if (states.includes('pending') && (patient || !states.includes('taken'))) return;
        timer.cancel();
        resolve();
      };
      const timer = clock.after(waitMs, () => {
        patient = false;
        look();
      });
      for (const part of this.parts) void part.attempt().then(look);
    });
  }
}
