import { checkChoice, checkNumber, resolveOptions } from '../core/options.js';

/**
 * How traces that begin here are chosen.
 *
 * - `off`: nothing is recorded, whatever a caller has decided; what came in is passed on as it came
 * - `ratio`: a share, by chance; the same traces everywhere, and `ot=th` tells what each stands for
 * - `rateLimit`: so many per second and route; how many others there were cannot be told, and is not
 * - `always`: all
 * - `tail`: all are recorded, and those are kept that turn out to be worth it: failed, slow, rare, or asked for
 */
export type SamplingMode = 'off' | 'ratio' | 'rateLimit' | 'always' | 'tail';

const modes: readonly SamplingMode[] = ['off', 'ratio', 'rateLimit', 'always', 'tail'];

/** What to do with a trace that a caller has begun. */
export type RemoteParents = 'continue' | 'restart' | 'restartExternal';

const remotes: readonly RemoteParents[] = ['continue', 'restart', 'restartExternal'];

/** How the traces of some routes are chosen; what is left out is as for all others. */
export interface RouteSampling {
  readonly mode: SamplingMode;
  readonly ratio?: number | undefined;
  readonly perSecond?: number | undefined;
}

/** Which traces are kept. */
export interface SamplingOptions {
  /**
   * How they are chosen. Traces that a caller has begun share the caller's decision, in every mode but `off`; in `tail`
   * those that another service has left open are decided here by their outcome. In `rateLimit` and `tail` a caller whose
   * peer is not trusted keeps no more traces than `perSecond` allows.
   *
   * @defaultValue `'tail'`
   */
  readonly mode?: SamplingMode | undefined;
  /**
   * Share of the traces, 0 to 1. Only in `ratio`.
   *
   * @defaultValue `0.01`
   */
  readonly ratio?: number | undefined;
  /**
   * Traces per second, above 0: of each route in `rateLimit`; of the process in `tail`, besides those that are kept for
   * their outcome. Those are sampled from their first span on, by all services that they come to.
   *
   * @defaultValue `1`
   */
  readonly perSecond?: number | undefined;
  /**
   * Other rules for single routes, by the name of the first span: the whole of it, the path in it (`/users/:id` is
   * `GET /users/:id`), or its beginning and a `*`. The first that fits counts.
   *
   * @defaultValue `{}`
   */
  readonly routes?: Readonly<Record<string, RouteSampling>> | undefined;
  /**
   * What to do with a trace that a caller has begun: `continue` it; `restart` it as a new one with a link to what came in;
   * `restartExternal` does that to callers that are not ours: services with this setting sign their traces, so all of
   * yours must have it.
   *
   * @defaultValue `'continue'`
   */
  readonly remote?: RemoteParents | undefined;
  /**
   * Above which quantile of its route a trace is slow, above 0 and up to 0.999. Greater keeps fewer. Only in `tail`.
   *
   * @defaultValue `0.95`
   */
  readonly slowQuantile?: number | undefined;
  /**
   * A route of which no trace was kept for so long is rare, and the next one is kept; milliseconds. Only in `tail`.
   *
   * @defaultValue `60_000`
   */
  readonly rareMs?: number | undefined;
  /**
   * Most traces per second that are kept because they failed, and as many that were slow. When everything fails, more of
   * the same explains nothing. Only in `tail`.
   *
   * @defaultValue `100`
   */
  readonly outcomesPerSecond?: number | undefined;
  /**
   * Most traces per second that are kept because the baggage says `debug`. Wires take baggage only of peers that are
   * trusted, but one of those may say it of every call. In every mode but `off`.
   *
   * @defaultValue `10`
   */
  readonly debugPerSecond?: number | undefined;
  /**
   * How long after its first span has ended a trace can still fail, milliseconds. Only in `tail`.
   *
   * @defaultValue `2000`
   */
  readonly graceMs?: number | undefined;
  /**
   * How long a trace that was not kept can still be asked for, milliseconds. Only in `tail`.
   *
   * @defaultValue `30_000`
   */
  readonly ringMs?: number | undefined;
  /**
   * Bytes that may be held of traces that are undecided or were not kept; the oldest of the latter go first. Only in
   * `tail`.
   *
   * @defaultValue `16_777_216`
   */
  readonly ringBytes?: number | undefined;
}

/** {@link SamplingOptions} with nothing left open. */
export type SamplingSettings = {
  readonly [Option in keyof SamplingOptions]-?: Exclude<SamplingOptions[Option], undefined>;
};

/** Defaults of {@link SamplingOptions}. */
export const samplingDefaults = {
  mode: 'tail',
  ratio: 0.01,
  perSecond: 1,
  routes: {},
  remote: 'continue',
  slowQuantile: 0.95,
  rareMs: 60_000,
  outcomesPerSecond: 100,
  debugPerSecond: 10,
  graceMs: 2000,
  ringMs: 30_000,
  ringBytes: 16_777_216,
} as const;

const share = { min: 0, max: 1 } as const;
const rate = { above: 0 } as const;

/** Ranges of {@link SamplingOptions}. */
export const samplingBounds = {
  ratio: share,
  perSecond: rate,
  slowQuantile: { above: 0, max: 0.999 },
  rareMs: { above: 0, infinite: true },
  outcomesPerSecond: { min: 0 },
  debugPerSecond: { min: 0 },
  graceMs: { min: 0 },
  ringMs: { min: 0 },
  ringBytes: { min: 0 },
} as const;

/**
 * Lays options over the defaults and checks them.
 *
 * @throws TypeError for unknown options; RangeError for values out of range
 */
export function samplingSettings(owner: string, options: SamplingOptions | undefined): SamplingSettings {
  const settings = resolveOptions<SamplingSettings>(owner, samplingDefaults, options, samplingBounds);
  checkChoice(`${owner}.mode`, settings.mode, modes);
  checkChoice(`${owner}.remote`, settings.remote, remotes);
  for (const [route, rule] of Object.entries(settings.routes)) {
    const field = `${owner}.routes["${route}"]`;
    const { mode, ratio, perSecond } = resolveOptions<RouteRule>(field, noRule, rule);
    checkChoice(`${field}.mode`, mode, modes);
    if (ratio !== undefined) checkNumber(`${field}.ratio`, ratio, share);
    if (perSecond !== undefined) checkNumber(`${field}.perSecond`, perSecond, rate);
  }
  return settings;
}

interface RouteRule {
  readonly mode: SamplingMode | undefined;
  readonly ratio: number | undefined;
  readonly perSecond: number | undefined;
}

const noRule: RouteRule = { mode: undefined, ratio: undefined, perSecond: undefined };
