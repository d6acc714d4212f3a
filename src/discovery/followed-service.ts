import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from './backoff.js';
import { type DiscoveryEvent, reasonOf } from './discovery-event.js';
import type { ServiceInstance } from './instance.js';
import { Pause } from './pause.js';
import { ServiceView } from './service-view.js';
import { orAborted } from './within.js';

/** The registry has this to say: all instances of the service, and for each that cannot be read why. */
export type Publish = (instances: readonly ServiceInstance[], skipped?: readonly string[]) => void;

/**
 * Follows one service for as long as it can: tells the list as soon as it is known and again at each change. Ends or
 * rejects when it cannot go on, and is started anew then; whoever follows has to notice by himself that the other side
 * hangs. Ends soon after the signal is aborted.
 */
export type Follow = (publish: Publish, signal: AbortSignal) => Promise<void>;

/** What a {@link FollowedService} needs. */
export interface FollowedServiceInit {
  readonly service: string;
  readonly follow: Follow;
  readonly clock: Clock;
  readonly random: Random;
  readonly removalHoldMs: number;
  readonly minListRatio: number;
  /** Whether a registry that was away may have lost instances that are alive: it keeps them in memory alone. */
  readonly forgetful: boolean;
  readonly tell: (event: DiscoveryEvent) => void;
}

const retries: Backoff = { firstMs: 500, maxMs: 15_000 };
/** Least time between two starts, whatever the jitter. */
const gapMs = 100;
/** Who followed for so long after the first list did well, however it ended. */
const steadyMs = 10_000;
/** Runs in a row that began well and did not, after which a list is only as good as its age. */
const blips = 2;

/** One service that is being followed, and tried again for ever when that ends. */
export class FollowedService {
  readonly view: ServiceView;
  private readonly control = new AbortController();
  private readonly pause: Pause;
  /** What was complained of last: with every list the same would be said again. */
  private complaint = '';

  constructor(private readonly init: FollowedServiceInit) {
    const { clock, service, tell } = init;
    this.pause = new Pause(clock);
    this.view = new ServiceView({
      ...init,
      onTurn: (stale, reason) => tell({ type: stale ? 'stale' : 'fresh', service, reason }),
      onFault: (error) => tell({ type: 'fault', service, reason: reasonOf(error) }),
    });
    void this.run();
  }

  close(): void {
    this.control.abort(new Error('nobody watches any more'));
    this.pause.end();
    this.view.close();
  }

  private async run(): Promise<void> {
    const { clock, random, forgetful } = this.init;
    let failures = 0;
    let silent = 0;
    let hasty = 0;
    while (!this.control.signal.aborted) {
      const { heardAt, reason } = await this.once();
      if (this.control.signal.aborted) return;
      const heard = heardAt !== undefined;
      // What came before the first list, a rest after failures for one, proves nothing of the watch.
      const steady = heard && clock.now() - heardAt >= steadyMs;
      failures = steady ? 1 : failures + 1;
      silent = heard ? 0 : silent + 1;
      if (heard) hasty = steady ? 0 : hasty + 1;
      // A watch that breaks is a blip as long as the next one stands.
      if (silent > 1 || hasty > blips || this.view.current === undefined) this.view.lose(reason);
      if (forgetful) this.view.doubt();
      await this.pause.wait(gapMs + fullJitterMs(failures, random, retries));
    }
  }

  /** Follows until that ends. Never throws. @returns when the first list came, if one did, and why it ended */
  private async once(): Promise<{ heardAt: number | undefined; reason: string }> {
    const { follow, clock } = this.init;
    let heardAt: number | undefined;
    // One that was ended may still have something under way.
    let over = false;
    const publish: Publish = (instances, skipped = []) => {
      if (over || this.control.signal.aborted) return;
      heardAt ??= clock.now();
      this.complain(skipped);
      this.view.accept(unique(instances.filter(({ status }) => status === 'up')));
    };
    try {
      await orAborted(this.control.signal, (signal) => follow(publish, signal));
      return { heardAt, reason: 'the registry ended the watch' };
    } catch (error) {
      return { heardAt, reason: reasonOf(error) };
    } finally {
      over = true;
    }
  }

  private complain(skipped: readonly string[]): void {
    const { service, tell } = this.init;
    const reason = skipped.length > 0 ? summary(skipped) : '';
    if (reason !== '' && reason !== this.complaint) tell({ type: 'malformed', service, reason });
    this.complaint = reason;
  }
}

/** Two instances of one id would be one endpoint with two minds; the last one counts. */
function unique(instances: readonly ServiceInstance[]): ServiceInstance[] {
  return [...new Map(instances.map((instance) => [instance.id, instance])).values()];
}

/** One event, however much there is to complain of. */
function summary(skipped: readonly string[]): string {
  const more = skipped.length > 1 ? `, and ${skipped.length - 1} more left out` : '';
  return `${skipped[0]}${more}`;
}
