import { balance, type EndpointChange, type EndpointState } from '../balancer/balance.js';
import type { Balancer } from '../balancer/balancer.js';
import type { Ejection } from '../balancer/ejection-options.js';
import { standardBalancer } from '../balancer/standard-balancer.js';
import { type Clock, systemClock } from '../core/clock.js';
import { type Bus, createBus } from '../core/events.js';
import { type ForwardMetadataOptions, forwardMetadata } from '../core/forward-metadata.js';
import { guard } from '../core/guard.js';
import { compose, type Handler } from '../core/handler.js';
import { aboutOption, inNameOf } from '../core/in-name-of.js';
import type { MetadataDrop } from '../core/metadata-limits.js';
import { wrongKind } from '../core/options.js';
import { checkProtocol } from '../core/protocol.js';
import { type Random, systemRandom } from '../core/random.js';
import type { Wire } from '../core/wire.js';
import { deadline } from '../deadline/deadline.js';
import { endpointsOf } from '../discovery/endpoints.js';
import type { Resolver } from '../discovery/resolver.js';
import { hedge } from '../retry/hedge.js';
import { retry } from '../retry/retry.js';
import { retryBudget } from '../retry/retry-budget.js';
import { tied } from '../retry/tied.js';
import type { PropagationOptions } from '../telemetry/propagation-options.js';
import type { Semantics } from '../telemetry/semantics.js';
import type { MessageSizes } from '../topology/edge-call.js';
import type { Topology } from '../topology/topology.js';
import { type ClientPolicy, checkPolicy, clientPolicyDefaults } from './client-policy.js';
import { type ClientTries, CountedBudget } from './client-tries.js';
import { endpointStack } from './endpoint-stack.js';
import { checkGiven, overlay } from './policy-checks.js';
import { clientTelemetry } from './telemetry.js';

/** Options of {@link clientStack}. */
export interface ClientStackOptions<Req, Res> extends ClientPolicy<Req, Res> {
  /** Logical name of the service that is called. */
  readonly service: string;
  /** Finds its instances. */
  readonly resolver: Resolver;
  /** How calls are carried. */
  readonly wire: Wire<Req, Res>;
  /**
   * Chooses endpoints. It belongs to this stack alone: two stacks with one balancer would take each other's endpoints
   * away.
   *
   * @defaultValue least backlog by what servers report (by latency where they do not, or where their calls wait for something else than the thread), with slow start and outlier ejection
   */
  readonly balancer?: Balancer | undefined;
  /**
   * Where state changes are told.
   *
   * @defaultValue a bus of its own
   */
  readonly bus?: Bus | undefined;
  /**
   * What this wire is called in spans and metrics; without it there are none.
   *
   * @defaultValue none
   */
  readonly semantics?: Semantics<Req, Res> | undefined;
  /**
   * Logical name of the calling service, told to the callee.
   *
   * @defaultValue none
   */
  readonly caller?: string | undefined;
  /**
   * In which words trace and baggage go out.
   *
   * @defaultValue those of the process, W3C where nothing else was said
   */
  readonly propagation?: PropagationOptions | undefined;
  /**
   * Counts who calls whom.
   *
   * @defaultValue none
   */
  readonly edges?: Topology | undefined;
  /**
   * What is known of the size of messages, for `edges`.
   *
   * @defaultValue nothing
   */
  readonly sizes?: MessageSizes<Req, Res> | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Draws numbers.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** A client of one service. */
export interface ClientStack<Req, Res> {
  /** Makes one call. */
  readonly handler: Handler<Req, Res>;
  /** Where its state changes are told. */
  readonly events: Bus;
  /** Tells its time: deadlines of its calls are on this scale. */
  readonly clock: Clock;
  /** What it knows of each endpoint: for panels and tests, not for each call. */
  snapshot(): readonly EndpointState[];
  /** What further tries its calls have made and may make. */
  tries(): ClientTries;
  /** Ends the watch and lets go of connections; calls in flight end by themselves, new ones are refused. */
  close(): void;
}

/** Tells a bus what a leaf hears from its resolver; staleness only when it begins or ends. */
function changeTeller(bus: Bus, service: string): (change: EndpointChange) => void {
  let wasStale = false;
  return ({ joined, left, size, stale, reason }) => {
    if (joined.length > 0 || left.length > 0) bus.emit('instances', { service, joined, left, size });
    if (stale !== wasStale) bus.emit('resolver', { service, stale, reason });
    wasStale = stale;
  };
}

/** What a stack is made of besides its policy. */
const parts = {
  service: undefined,
  resolver: undefined,
  wire: undefined,
  balancer: undefined,
  bus: undefined,
  semantics: undefined,
  caller: undefined,
  propagation: undefined,
  edges: undefined,
  sizes: undefined,
  clock: systemClock,
  random: systemRandom,
} as const;

function checkStack<Req, Res>(options: ClientStackOptions<Req, Res>): void {
  checkGiven('clientStack', options);
  checkPolicy('clientStack', options, parts);
  const { service, resolver, wire, balancer } = options;
  if (typeof service !== 'string' || service === '')
    throw aboutOption(new TypeError('clientStack.service must be a name'));
  if (typeof resolver?.watch !== 'function')
    throw aboutOption(new TypeError('clientStack.resolver must be a resolver'));
  if (typeof wire?.connect !== 'function')
    throw aboutOption(new TypeError('clientStack.wire must be a wire'));
  checkProtocol('clientStack.wire.protocol', wire.protocol);
  if (balancer !== undefined && typeof balancer?.pick !== 'function')
    throw wrongKind('clientStack.balancer', 'a balancer, such as leastLoad() makes', balancer);
}

/** The standard balancer, its ejections told to the bus. */
function announcingBalancer<Req, Res>(
  { service, ejection, filters }: ClientStackOptions<Req, Res>,
  bus: Bus,
  random: Random,
): Balancer {
  const announced = {
    ...ejection,
    onEjection: (event: Ejection) => {
      const { endpoint, ejected, reason } = event;
      bus.emit('ejection', { service, endpoint: endpoint.id, ejected, reason });
    },
  };
  return standardBalancer({ random, filters, ejection: ejection === false ? false : announced });
}

/**
 * Joins the parts of a client in the canonical order and returns one handler.
 *
 * Outermost first: span of the call, metrics, the user's middlewares, the count of edges (all see refusals and retries as
 * one call, and what a middleware answers from elsewhere is no call of the edge), deadline (its time covers everything inside), limits (a call counts once, however often it is tried), retry, ties
 * or hedge (each try and each copy may meet another endpoint), balance, and behind it per endpoint: gates, span of the attempt, timeout, wire.
 *
 * Use it for a wire of your own; for HTTP `app.fetch` and `governedFetch` are shorter.
 *
 * @throws RangeError or TypeError for options out of range. Calls are rejected with GovernanceError, or with what the
 * wire threw
 * @example
 * ```ts
 * const users = clientStack({ service: 'users', resolver, wire: fetchWire(), retry: { attempts: 3 } });
 * ```
 */
export function clientStack<Req, Res>(options: ClientStackOptions<Req, Res>): ClientStack<Req, Res> {
  checkStack(options);
  return inNameOf(names, () => stackOf(options));
}

/** What the parts of a stack call themselves, and what they are as options of it. */
const names = {
  retry: 'clientStack.retry',
  retryBudget: 'clientStack.retryBudget',
  hedge: 'clientStack.hedge',
  tied: 'clientStack.tied',
  'standardBalancer.ejection': 'clientStack.ejection',
  'standardBalancer.filters': 'clientStack.filters',
  forwardMetadata: 'clientStack.metadata',
};

function stackOf<Req, Res>(options: ClientStackOptions<Req, Res>): ClientStack<Req, Res> {
  const { service, wire, clock = systemClock, random = systemRandom, bus = createBus() } = options;
  const { protocol } = wire;
  const { timeoutMs = clientPolicyDefaults.timeoutMs } = options;
  const { limits = [], use = [] } = options;
  const onDrop = (drop: MetadataDrop): void => bus.emit('metadata', { service, side: 'client', ...drop });
  const budget = retryBudget(options.retryBudget);
  const hedging = new CountedBudget(budget);
  const repeats = options.retry !== false || Boolean(options.hedge) || Boolean(options.tied);
  const telemetry = clientTelemetry({
    service,
    protocol,
    clock,
    bus,
    repeats,
    semantics: options.semantics,
    tracing: options.tracing,
    metrics: options.metrics,
    propagation: options.propagation,
    caller: options.caller,
  });
  // Also where nothing is retried: successes fill the budget of hedges, and what failed below is noted for those above.
  const tries = options.retry === false ? { attempts: 1 } : options.retry;
  const leaf = balance<Req, Res>({
    service,
    resolver: options.resolver,
    protocol,
    clock,
    resolveTimeoutMs: options.resolveTimeoutMs,
    balancer: options.balancer ?? announcingBalancer(options, bus, random),
    endpoints: (instances) => endpointsOf(instances, { schemes: wire.schemes }),
    connect: endpointStack({
      service,
      wire,
      policy: options,
      bus,
      clock,
      random,
      telemetry: telemetry.attempt,
    }),
    onChange: changeTeller(bus, service),
    onFault: (error) => bus.emit('fault', { where: `endpoints of ${service}`, error }),
  });
  const handler = compose<Req, Res>(
    [
      ...telemetry.call,
      options.metadata !== false &&
        forwardMetadata<Req, Res>(overlay<ForwardMetadataOptions>({ onDrop }, options.metadata ?? {})),
      ...use,
      options.edges?.client<Req, Res>({
        callee: service,
        caller: options.caller,
        protocol,
        sizes: options.sizes,
        clock,
      }),
      deadline<Req, Res>({ timeoutMs, protocol, clock }),
      limits.length > 0 && guard<Req, Res>(limits, { protocol, clock }),
      retry<Req, Res>({ ...tries, protocol, budget, clock, random }),
      options.tied ? tied<Req, Res>({ ...options.tied, protocol, budget: hedging, clock }) : false,
      options.hedge ? hedge<Req, Res>({ ...options.hedge, protocol, budget: hedging, clock }) : false,
    ],
    leaf.handler,
  );
  return {
    handler,
    events: bus,
    clock,
    snapshot: () => leaf.snapshot(clock.now()),
    tries: () => ({ ...budget.snapshot(clock.now()), hedges: hedging.given }),
    close: () => {
      leaf.close();
      telemetry.close();
    },
  };
}
