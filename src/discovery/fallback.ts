import { type Bounds, resolveOptions } from '../core/options.js';
import { type Joint, joint, type Source } from './joint.js';
import { type Choice, type Chosen, type Heard, sourceName } from './joint-watch.js';
import { type MergeOptions, mergeBounds, mergeDefaults } from './merge.js';
import type { Registrar, Registry } from './registrar.js';
import type { Resolution } from './resolver.js';
import { byId } from './same-instances.js';

/** Options of {@link fallback}. */
export interface FallbackOptions extends MergeOptions {
  /**
   * How long a source has to be away or without instances before the next one takes its place, and how long it has to
   * be well again before it gets it back; in milliseconds. Meanwhile its last good list serves, marked stale. A larger
   * value changes less often, and serves an old list for longer.
   *
   * @defaultValue `30_000`
   */
  readonly holdMs?: number | undefined;
}

/** Defaults of {@link fallback}. */
export const fallbackDefaults = { ...mergeDefaults, holdMs: 30_000 };

const bounds: Bounds<typeof fallbackDefaults> = { ...mergeBounds, holdMs: { min: 0 } };

const never = Number.POSITIVE_INFINITY;

function hasInstances(resolution: Resolution | undefined): boolean {
  return resolution !== undefined && resolution.instances.length > 0;
}
/** Worth to be changed to. */
function isWell(resolution: Resolution | undefined): boolean {
  return hasInstances(resolution) && !resolution?.stale;
}

/** One source at a time: the first that is well. */
class FirstWell implements Choice {
  private active: number | undefined;
  /** Last list of the active source that was not empty. */
  private good: Resolution | undefined;
  /** Since when each source is as well, or as unwell, as it is. */
  private readonly since: { well: boolean; at: number }[] = [];

  constructor(
    private readonly until: number,
    private readonly holdMs: number,
  ) {}

  choose(heard: Heard, now: number): Chosen {
    this.note(heard, now);
    if (this.active === undefined) this.begin(heard, now);
    else this.reconsider(this.active, heard, now);
    const { active } = this;
    if (active === undefined)
      return { resolution: undefined, againAt: now < this.until ? this.until : never };
    if (hasInstances(heard[active])) this.good = heard[active];
    return { resolution: this.shown(active, heard, now), againAt: this.nextTurn(active, heard, now) };
  }

  private note(heard: Heard, now: number): void {
    for (const [at, resolution] of heard.entries()) {
      const well = isWell(resolution);
      const before = this.since[at];
      if (before?.well !== well) this.since[at] = { well, at: now };
      // A clock that was set back must not lengthen a wait by as much.
      else if (before.at > now) before.at = now;
    }
  }

  /** Takes the first that is well, and does not wait for an earlier one for ever. */
  private begin(heard: Heard, now: number): void {
    const silent = heard.indexOf(undefined);
    const well = heard.findIndex(isWell);
    if (well >= 0 && (silent < 0 || well < silent || now >= this.until)) this.active = well;
    else if (silent < 0 || now >= this.until) {
      // Nobody is well: an old list is better than none, and one that is empty than silence.
      const some = heard.findIndex(hasInstances);
      const any = some >= 0 ? some : heard.findIndex((resolution) => resolution !== undefined);
      if (any >= 0) this.active = any;
    }
  }

  private reconsider(active: number, heard: Heard, now: number): void {
    const better = this.since.findIndex(
      ({ well, at }, index) => index < active && well && now >= at + this.holdMs,
    );
    if (better >= 0) this.active = better;
    else if (!isWell(heard[active]) && now >= this.leaveAt(active)) {
      const well = heard.findIndex(isWell);
      if (well >= 0) this.active = well;
      else if (!hasInstances(heard[active])) {
        const some = heard.findIndex(hasInstances);
        if (some >= 0) this.active = some;
      }
    }
  }

  /** From when on an unwell source may be left: at once when there is nothing of it to hold on to. */
  private leaveAt(active: number): number {
    return this.good === undefined ? Number.NEGATIVE_INFINITY : this.sinceOf(active) + this.holdMs;
  }

  private sinceOf(at: number): number {
    return this.since[at]?.at ?? Number.NEGATIVE_INFINITY;
  }

  private shown(active: number, heard: Heard, now: number): Resolution | undefined {
    const name = sourceName(active, heard.length);
    const current = heard[active];
    if (current && (hasInstances(current) || !this.good || now >= this.leaveAt(active))) {
      const reason = current.reason === undefined ? undefined : `${name}: ${current.reason}`;
      return { instances: [...current.instances].sort(byId), stale: current.stale, reason };
    }
    const instances = [...(this.good?.instances ?? [])].sort(byId);
    return {
      instances,
      stale: true,
      reason: `${name} has no instance; its last good list is kept for a while`,
    };
  }

  /** The next moment at which time alone may change something. */
  private nextTurn(active: number, heard: Heard, now: number): number {
    const moments = this.since
      .filter(({ well }, at) => well && at < active)
      .map(({ at }) => at + this.holdMs);
    if (!isWell(heard[active])) moments.push(this.leaveAt(active));
    return Math.min(never, ...moments.filter((at) => at > now));
  }
}

/**
 * Several registries or resolvers as one, of which one is believed at a time: the first that is well, that is, that
 * answers and knows instances of the service. Registers in all of them at once, as {@link merge} does.
 *
 * Use it at the end of a move from one registry to another, when the new one is complete and the old one only the way
 * back; and to have `dns` or fixed addresses behind a registry. While both lists are incomplete use {@link merge}. Each
 * service is decided on its own. A source that is away for a short time is not left: its last good list serves.
 *
 * @param sources - the preferred first; all are watched all the time
 * @param options - all optional
 * @throws TypeError for what is neither registry nor resolver or an unknown option, RangeError for a number out of range
 * @example
 * ```ts
 * const registry = fallback([etcd({ nodes: ['http://127.0.0.1:2379'] }), discovery({ nodes: ['http://127.0.0.1:7171'] })]);
 * const app = createApp({ service: 'orders', registry });
 * ```
 */
export function fallback(
  sources: readonly Source[],
  options: FallbackOptions & { readonly registerIn: readonly Registrar[] },
): Registry;
export function fallback<const S extends readonly Source[]>(sources: S, options?: FallbackOptions): Joint<S>;
export function fallback<const S extends readonly Source[]>(sources: S, options?: FallbackOptions): Joint<S> {
  const settings = resolveOptions('fallback', fallbackDefaults, options, bounds);
  const { waitMs, holdMs } = settings;
  const choice = (now: number): Choice => new FirstWell(now + waitMs, holdMs);
  return joint<S>({ ...settings, owner: 'fallback', sources, choice });
}
