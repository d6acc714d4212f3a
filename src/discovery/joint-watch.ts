import type { Clock, Timer } from '../core/clock.js';
import { Feed } from './feed.js';
import type { Resolution, Resolver, Watch } from './resolver.js';
import { sameInstances } from './same-instances.js';

/** What several sources said last of one service, in their order; undefined from those that said nothing yet. */
export type Heard = readonly (Resolution | undefined)[];

/** What to make of it. */
export interface Chosen {
  /** Undefined as long as nothing can be said. Instances in the order of their ids. */
  readonly resolution: Resolution | undefined;
  /** When to ask again although nothing was heard; `Infinity` for never. */
  readonly againAt: number;
}

/** Makes one list of several. Told the time. */
export interface Choice {
  choose(heard: Heard, now: number): Chosen;
}

/** What a {@link JointWatch} needs. */
export interface JointWatchInit {
  readonly clock: Clock;
  readonly choice: Choice;
  /** Told what a listener threw. */
  readonly onFault: (error: unknown) => void;
}

/** Watches one service in several sources at once. */
export class JointWatch implements Watch {
  private readonly heard: (Resolution | undefined)[];
  private readonly watches: Watch[] = [];
  private readonly feed: Feed;
  private timer: Timer | undefined;
  private over = false;

  constructor(
    sources: readonly Resolver[],
    service: string,
    private readonly init: JointWatchInit,
  ) {
    this.feed = new Feed(init.onFault);
    this.heard = sources.map(() => undefined);
    try {
      for (const [at, source] of sources.entries())
        this.watches.push(source.watch(service, (resolution) => this.hear(at, resolution)));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Adds the listener: only now, since what the first source knows at once is not all there is to know. */
  open(onChange: (resolution: Resolution) => void): void {
    this.look();
    this.feed.subscribe(onChange);
  }

  close(): void {
    this.over = true;
    this.timer?.cancel();
    for (const watch of this.watches) watch.close();
  }

  private hear(at: number, resolution: Resolution): void {
    this.heard[at] = resolution;
    this.look();
  }

  private look(): void {
    if (this.over) return;
    const { clock, choice } = this.init;
    const now = clock.now();
    const { resolution, againAt } = choice.choose(this.heard, now);
    this.timer?.cancel();
    this.timer =
      againAt < Number.POSITIVE_INFINITY ? clock.after(againAt - now, () => this.look()) : undefined;
    const before = this.feed.current;
    if (resolution && !(before && sameResolution(before, resolution))) this.feed.publish(resolution);
  }
}

function sameResolution(a: Resolution, b: Resolution): boolean {
  return a.stale === b.stale && a.reason === b.reason && sameInstances(a.instances, b.instances);
}

/** Names a source for people. */
export function sourceName(at: number, of: number): string {
  return `source ${at + 1} of ${of}`;
}
