import type { OutlierEjectionOptions } from '../balancer/ejection-options.js';
import type { EndpointFilter } from '../balancer/filter.js';
import type { Endpoint } from '../core/endpoint.js';
import type { ForwardMetadataOptions } from '../core/forward-metadata.js';
import type { Gate } from '../core/gate.js';
import type { Middleware } from '../core/handler.js';
import { type Bounds, wrongKind } from '../core/options.js';
import type { HedgeOptions } from '../retry/hedge.js';
import type { RetryOptions } from '../retry/retry.js';
import type { RetryBudgetOptions } from '../retry/retry-budget.js';
import type { TiedOptions } from '../retry/tied.js';
import { checkGates, checkGiven, checkMiddlewares, checkOptions } from './policy-checks.js';

/** Tells the stack that a gate changed state; a stack passes it on to its bus. */
export type Announce = (from: string, to: string) => void;

/** How the calls of one client are governed. Every part can be replaced or left out. */
export interface ClientPolicy<Req, Res> {
  /**
   * Time of a call to its response headers, all attempts together, in milliseconds; above 0, `Infinity` for none. A
   * larger value keeps callers waiting longer. A call's own deadline can only shorten it.
   *
   * @defaultValue `10_000`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Time of one attempt to its response headers, in milliseconds; above 0. Useful with retries: a smaller value leaves
   * time for another endpoint.
   *
   * @defaultValue none: an attempt may take what is left of the call
   */
  readonly perTryTimeoutMs?: number | undefined;
  /**
   * How long a call waits for the first endpoint, in milliseconds; 0 or more.
   *
   * @defaultValue `5000`
   */
  readonly resolveTimeoutMs?: number | undefined;
  /**
   * Retries, or `false` for none.
   *
   * @defaultValue `{}`, that is 2 attempts of idempotent calls
   */
  readonly retry?:
    | Omit<RetryOptions<Req, Res>, 'protocol' | 'clock' | 'random' | 'budget'>
    | false
    | undefined;
  /**
   * Second copies of slow calls, or `false` for none. They and the retries share one budget.
   *
   * @defaultValue `false`
   */
  readonly hedge?: Omit<HedgeOptions<Req, Res>, 'protocol' | 'clock' | 'budget'> | false | undefined;
  /**
   * Second copies of calls that have not started where they were sent first, or `false` for none: `{ routes: '/search' }`.
   * What is tied is not hedged.
   *
   * @defaultValue `false`
   */
  readonly tied?: Omit<TiedOptions<Req, Res>, 'protocol' | 'clock' | 'budget'> | false | undefined;
  /**
   * What retries and hedges together may add.
   *
   * @defaultValue `{}`, that is 10 % of the successes and 3 in ten seconds
   */
  readonly retryBudget?: RetryBudgetOptions | undefined;
  /**
   * Gates of one endpoint, called once for each that appears. `announce` puts a gate's state changes on the bus.
   *
   * @defaultValue one evidence breaker: `(endpoint, announce) => [evidence({ onTransition: announce })]`
   */
  readonly gates?: ((endpoint: Endpoint, announce: Announce) => readonly Gate[]) | undefined;
  /**
   * Gates of the whole client, asked once per call: a limit of what this process sends. `undefined` is none.
   *
   * @defaultValue none
   */
  readonly limits?: readonly Gate[] | undefined;
  /**
   * Which of the endpoints to use: version, zone, subset. Applied in order when the list or the ejections change, not per
   * call. No effect with a balancer of your own.
   *
   * @defaultValue none
   */
  readonly filters?: readonly EndpointFilter[] | undefined;
  /**
   * When failing endpoints are taken out of the picks, or `false` for never. No effect with a balancer of your own.
   *
   * @defaultValue `{}`
   */
  readonly ejection?: Omit<OutlierEjectionOptions, 'onEjection'> | false | undefined;
  /**
   * Metadata that goes along with each call, or `false` for none: for a service that is not of this system.
   *
   * @defaultValue `{}`, that is what handlers set and the global metadata of the inbound call
   */
  readonly metadata?: ForwardMetadataOptions | false | undefined;
  /**
   * The caller's own middlewares around each call, inside tracing and metrics.
   *
   * @defaultValue none
   */
  readonly use?: readonly Middleware<Req, Res>[] | undefined;
  /**
   * The caller's own middlewares around each attempt, when its endpoint is known: signatures, authorization.
   *
   * @defaultValue none
   */
  readonly useAttempt?: readonly Middleware<Req, Res>[] | undefined;
  /**
   * Spans by `@opentelemetry/api`, and the trace context on the wire.
   *
   * @defaultValue `true`
   */
  readonly tracing?: boolean | undefined;
  /**
   * Metrics by `@opentelemetry/api`.
   *
   * @defaultValue `true`
   */
  readonly metrics?: boolean | undefined;
}

/** Defaults of {@link ClientPolicy}. */
export const clientPolicyDefaults = {
  timeoutMs: 10_000,
  perTryTimeoutMs: undefined,
  resolveTimeoutMs: 5000,
  retry: {},
  hedge: false,
  tied: false,
  retryBudget: {},
  gates: undefined,
  limits: undefined,
  filters: undefined,
  ejection: {},
  metadata: {},
  use: undefined,
  useAttempt: undefined,
  tracing: true,
  metrics: true,
} as const;

const bounds: Bounds<Record<string, unknown>> = {
  timeoutMs: { above: 0, infinite: true },
  perTryTimeoutMs: { above: 0 },
  resolveTimeoutMs: { min: 0 },
};

/**
 * Checks the options of a client that has more of them than a policy.
 *
 * @param owner - name for messages
 * @param own - its own options, one entry for each
 * @throws TypeError or RangeError that names the option
 */
export function checkClientOptions(owner: string, options: object, own: object): void {
  checkGiven(owner, options);
  checkPolicy(owner, options as ClientPolicy<never, never>, { balancer: undefined, ...own });
}

/**
 * Checks a policy before anything is made of it.
 *
 * @param owner - name for messages
 * @param more - options beside those of a policy
 * @throws TypeError or RangeError that names the option
 */
export function checkPolicy<Req, Res>(
  owner: string,
  policy: ClientPolicy<Req, Res> | undefined,
  more: object = {},
): void {
  const known = { ...clientPolicyDefaults, hedge: undefined, tied: undefined, ...more };
  checkOptions(owner, { known, bounds }, policy);
  if (policy === undefined) return;
  const { gates, limits, use, useAttempt } = policy;
  if (gates !== undefined && typeof gates !== 'function')
    throw wrongKind(`${owner}.gates`, 'a function', gates);
  checkGates(`${owner}.limits`, limits);
  checkMiddlewares(`${owner}.use`, use);
  checkMiddlewares(`${owner}.useAttempt`, useAttempt);
  for (const field of ['retry', 'hedge', 'tied', 'ejection', 'metadata'] as const) {
    const value: unknown = policy[field];
    if (value !== undefined && value !== false && (typeof value !== 'object' || value === null))
      throw wrongKind(`${owner}.${field}`, 'an object or false', value);
  }
}
