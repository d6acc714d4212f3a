import { type AcceptMetadataOptions, acceptMetadata } from '../core/accept-metadata.js';
import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { Gate } from '../core/gate.js';
import { guard } from '../core/guard.js';
import { compose, type Handler, type Middleware } from '../core/handler.js';
import { wrongKind } from '../core/options.js';
import { checkProtocol, type Protocol } from '../core/protocol.js';
import { trustedPeer } from '../core/trust.js';
import { acceptDeadline } from '../deadline/accept-deadline.js';
import { deadline } from '../deadline/deadline.js';
import { dispatchQueue } from '../limiter/dispatch-queue.js';
import type { AccessLog } from '../telemetry/access-log.js';
import type { PropagationOptions } from '../telemetry/propagation-options.js';
import type { Semantics } from '../telemetry/semantics.js';
import { callerOf } from '../telemetry/service-name.js';
import type { TraceHeader } from '../telemetry/trace-header.js';
import type { MessageSizes } from '../topology/edge-call.js';
import type { Topology } from '../topology/topology.js';
import { checkGates, checkGiven, checkMiddlewares, checkOptions } from './policy-checks.js';
import { chosenQueue, type QueueChoice } from './server-queue.js';
import { serverTelemetry } from './telemetry.js';

/** How the calls of one server are governed. */
export interface ServerPolicy<Req, Res> {
  /**
   * Most time for a call, in milliseconds to the beginning of its response; above 0, `Infinity` for none. A caller's
   * deadline can only shorten it. A smaller value frees places from handlers that hang.
   *
   * @defaultValue `Infinity`
   */
  readonly timeoutMs?: number | ((call: Call) => number) | undefined;
  /**
   * Gates of the whole server: what they refuse never reaches the handler, and its body is not read. A `rate()`, and what
   * `keyed` and `allOf` make of nothing else, leaves the queue as it is. Every other gate, such as `bbr()`, `gradient()` or
   * `concurrency()`, takes the place of the queue that the servers of an app share. A `bbr()` without a `load`, among those
   * of an app, goes by the backlog that the app measures.
   *
   * @defaultValue none
   */
  readonly limits?: readonly Gate[] | undefined;
  /**
   * A queue in which calls wait for their turn, and which refuses those that would wait too long: options of one, a
   * `dispatchQueue()`, or `false` for none. Given together with `limits` there are both: these are asked first, and a call
   * holds its place in them while it waits. So the queue puts in order, and evicts from, only what they let in: behind a
   * limit of calls under way it can no longer prefer important calls and keep keys apart as it does alone.
   *
   * @defaultValue none; the servers of an app share one if they say nothing of it and have no `limits` but of rates
   */
  readonly queue?: QueueChoice | undefined;
  /**
   * Which metadata of trusted peers is taken, and what each call has besides.
   *
   * @defaultValue `{}`, that is `x-md-global-*`, which travels on, and the rest of `x-md-*`
   */
  readonly metadata?: AcceptMetadataOptions | undefined;
  /**
   * The user's own middlewares: inside deadline and limits, around the handler.
   *
   * @defaultValue none
   */
  readonly use?: readonly Middleware<Req, Res>[] | undefined;
  /**
   * Spans by `@opentelemetry/api`.
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

/** Defaults of {@link ServerPolicy}. */
export const serverPolicyDefaults = {
  timeoutMs: Number.POSITIVE_INFINITY,
  limits: undefined,
  queue: undefined,
  metadata: {},
  use: undefined,
  tracing: true,
  metrics: true,
} as const;

/** Options of {@link serverStack}. */
export interface ServerStackOptions<Req, Res> extends ServerPolicy<Req, Res> {
  /** What the wire knows of its messages. */
  readonly protocol: Protocol<Req, Res>;
  /** Turns a rejection into a response of the wire. */
  readonly recover: Middleware<Req, Res>;
  /**
   * What this wire is called in spans and metrics; without it there are none.
   *
   * @defaultValue none
   */
  readonly semantics?: Semantics<Req, Res> | undefined;
  /**
   * In which words trace and baggage are read.
   *
   * @defaultValue those of the process; everything is read where nothing else was said
   */
  readonly propagation?: PropagationOptions | undefined;
  /**
   * Headers of responses that tell the caller which span served it.
   *
   * @defaultValue `[]`
   */
  readonly traceHeaders?: readonly TraceHeader[] | undefined;
  /**
   * Gets a line for each call. No effect without `semantics`, which tell what a line says.
   *
   * @defaultValue none
   */
  readonly accessLog?: AccessLog | undefined;
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
}

/** What a stack is made of besides its policy. */
const parts = {
  protocol: undefined,
  recover: undefined,
  semantics: undefined,
  propagation: undefined,
  traceHeaders: undefined,
  accessLog: undefined,
  edges: undefined,
  sizes: undefined,
  clock: systemClock,
} as const;

function checkStack<Req, Res>(options: ServerStackOptions<Req, Res>): void {
  checkGiven('serverStack', options);
  checkOptions('serverStack', { known: { ...serverPolicyDefaults, ...parts } }, options);
  checkProtocol('serverStack.protocol', options.protocol);
  if (typeof options.recover !== 'function')
    throw wrongKind('serverStack.recover', 'a middleware', options.recover);
  checkGates('serverStack.limits', options.limits, 'queue');
  checkMiddlewares('serverStack.use', options.use);
}

const isTrusted = (call: Call): boolean => call.values.get(trustedPeer) === true;

/**
 * Joins the parts of a server in the canonical order around a handler.
 *
 * Outermost first: span, access log, metrics (all see what {@link ServerStackOptions.recover} answers), recover (everything inside
 * may throw), the count of edges (sees each refusal with its reason), the caller's deadline and the server's own, limits (a call whose time is over takes no place), the queue
 * (what it knows of a call is its deadline, and who has gone leaves it), a note of when it was left, metadata, the user's middlewares, the handler.
 *
 * @throws RangeError or TypeError for options out of range
 */
export function serverStack<Req, Res>(
  options: ServerStackOptions<Req, Res>,
  handler: Handler<Req, Res>,
): Handler<Req, Res> {
  checkStack(options);
  const { protocol, clock = systemClock, limits = [], semantics, tracing, metrics } = options;
  const { propagation, traceHeaders, accessLog } = options;
  const told = { semantics, protocol, clock, tracing, metrics, propagation, traceHeaders, accessLog };
  const telemetry = serverTelemetry<Req, Res>(told);
  const queue = chosenQueue('serverStack', options.queue, (given) =>
    dispatchQueue({ ...given, clock: given.clock ?? clock }),
  );
  return compose<Req, Res>(
    [
      ...telemetry.call,
      options.recover,
      options.edges?.server<Req, Res>({ protocol, callerOf, sizes: options.sizes, clock }),
      acceptDeadline({ trust: isTrusted, clock }),
      deadline({ timeoutMs: options.timeoutMs ?? serverPolicyDefaults.timeoutMs, protocol, clock }),
      limits.length > 0 && guard<Req, Res>(limits, { protocol, clock }),
      queue?.middleware<Req, Res>(),
      ...telemetry.handler,
      options.metadata && acceptMetadata(options.metadata),
      ...(options.use ?? []),
    ],
    handler,
  );
}
