import { type AcceptMetadataOptions, acceptMetadataDefaults } from '../core/accept-metadata.js';
import type { Call } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import type { Handler, Middleware } from '../core/handler.js';
import { inNameOf } from '../core/in-name-of.js';
import { wrongKind } from '../core/options.js';
import type { ServerLoad } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import type { Semantics } from '../telemetry/semantics.js';
import type { MessageSizes } from '../topology/edge-call.js';
import type { AppEvents } from './app-events.js';
import type { AppTelemetry } from './app-telemetry.js';
import { faultTeller } from './handler-fault.js';
import { checkGates, checkGiven, checkOptions, overlay } from './policy-checks.js';
import type { ServerLoadWatch } from './server-load.js';
import type { ServerQueues } from './server-queue.js';
import {
  type ServerPolicy,
  type ServerStackOptions,
  serverPolicyDefaults,
  serverStack,
} from './server-stack.js';

/** Told of an error of a handler and of the call that it failed. */
export type FaultTeller = (error: unknown, call: Call) => void;

/** Options of {@link App.server}: how calls are governed, and what the wire knows of them. */
export interface AppServerOptions<Req, Res> extends ServerPolicy<Req, Res> {
  /** What the wire knows of its messages. */
  readonly protocol: Protocol<Req, Res>;
  /**
   * Makes what turns a rejection into a response of the wire.
   *
   * @param tell - to be told of every error that is answered; it keeps refusals apart from faults by itself
   * @param load - tells how loaded the process is, for answers to say it to peers that are trusted; the same object for a
   * millisecond
   */
  readonly recover: (tell: FaultTeller, load: () => ServerLoad) => Middleware<Req, Res>;
  /**
   * What this wire is called in spans and metrics; without it there are none.
   *
   * @defaultValue none
   */
  readonly semantics?: Semantics<Req, Res> | undefined;
  /**
   * What is known of the size of messages, for the edges of the app.
   *
   * @defaultValue nothing
   */
  readonly sizes?: MessageSizes<Req, Res> | undefined;
  /**
   * Told of each fault of a handler, which is told of on the bus as `fault` too. Without it, and while nobody listens to
   * `fault`, faults are written to the console.
   *
   * @defaultValue none
   */
  readonly onError?: FaultTeller | undefined;
}

const known = {
  ...serverPolicyDefaults,
  protocol: undefined,
  recover: undefined,
  semantics: undefined,
  sizes: undefined,
  onError: undefined,
} as const;

/** What the servers of one app have in common. */
export interface ServerParts {
  readonly service: string;
  readonly events: AppEvents;
  readonly clock: Clock;
  /** How loaded the process is; made when a server needs it. */
  readonly load: () => ServerLoadWatch;
  /** Who hears of edges and limits. */
  readonly telemetry: AppTelemetry;
  /** The queues of its servers. */
  readonly queues: ServerQueues;
  /** Runs something when the app has closed its servers. */
  readonly atEnd: (run: () => void) => void;
}

/**
 * Governs a handler as a server of the app: its limiter, its telemetry, its fault reports.
 *
 * @param handlerOf - makes the handler; it gets what late errors are to be told to
 */
export function appServer<Req, Res>(
  handlerOf: (tell: FaultTeller) => Handler<Req, Res>,
  options: AppServerOptions<Req, Res>,
  parts: ServerParts,
): Handler<Req, Res> {
  const { service, events, clock } = parts;
  const load = parts.load();
  checkGiven('app.server', options);
  checkOptions('app.server', { known }, options);
  const { onError, recover, ...rest } = options;
  if (onError !== undefined && typeof onError !== 'function')
    throw wrongKind('app.server.onError', 'a function', onError);
  if (typeof recover !== 'function') throw wrongKind('app.server.recover', 'a function', recover);
  checkOptions('app.server.metadata', { known: acceptMetadataDefaults }, rest.metadata);
  checkGates('app.server.limits', rest.limits, 'queue');
  parts.telemetry.limitedBy('server', service, rest.limits);
  const tell = faultTeller({ events, onError });
  const stackOptions: ServerStackOptions<Req, Res> = {
    ...rest,
    limits: load.around(rest.limits ?? []),
    queue: parts.queues.of('app.server', rest.queue, rest.limits) ?? false,
    metadata: overlay<AcceptMetadataOptions>(
      { onDrop: (drop) => events.emit('metadata', { service, side: 'server', ...drop }) },
      rest.metadata ?? {},
    ),
    recover: recover(tell, load.told),
    edges: parts.telemetry.topology,
    ...parts.telemetry.told,
    clock,
  };
  const handler = handlerOf(tell);
  return inNameOf({ serverStack: 'app.server' }, () => serverStack(stackOptions, handler));
}
