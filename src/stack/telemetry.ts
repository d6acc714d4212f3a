import type { Clock } from '../core/clock.js';
import type { Bus } from '../core/events.js';
import type { Middleware } from '../core/handler.js';
import type { Protocol } from '../core/protocol.js';
import type { AccessLog } from '../telemetry/access-log.js';
import { admitted } from '../telemetry/arrival.js';
import { attemptMetrics } from '../telemetry/attempt-metrics.js';
import { attemptTracing } from '../telemetry/attempt-tracing.js';
import { metrics } from '../telemetry/metrics.js';
import type { PropagationOptions } from '../telemetry/propagation-options.js';
import type { Semantics } from '../telemetry/semantics.js';
import { callerNames } from '../telemetry/service-name.js';
import { standing } from '../telemetry/standing.js';
import type { TraceHeader } from '../telemetry/trace-header.js';
import { tracing } from '../telemetry/tracing.js';

/** What both sides of telemetry are made from. */
export interface TelemetryParts<Req, Res> {
  /** What the wire is called in spans and metrics; without it there are none. */
  readonly semantics: Semantics<Req, Res> | undefined;
  /** Tells when a response is over. */
  readonly protocol: Protocol<Req, Res>;
  /** Tells the time. */
  readonly clock: Clock;
  /** `false` for none. */
  readonly tracing: boolean | undefined;
  /** `false` for none. */
  readonly metrics: boolean | undefined;
  /** In which words trace and baggage travel. */
  readonly propagation: PropagationOptions | undefined;
}

/** What only clients have. */
export interface ClientTelemetryParts<Req, Res> extends TelemetryParts<Req, Res> {
  /** Which service is called. */
  readonly service: string;
  /** This service, told to the callee. */
  readonly caller: string | undefined;
  /** Whether a call can be tried more than once. */
  readonly repeats: boolean;
  /** Tells of breakers and ejections. */
  readonly bus: Bus;
}

/** Middlewares around the whole call, and around each try. */
export interface ClientTelemetry<Req, Res> {
  readonly call: readonly Middleware<Req, Res>[];
  readonly attempt: readonly Middleware<Req, Res>[];
  /** Stops listening to the bus. */
  close(): void;
}

/** Spans and metrics of a client. */
export function clientTelemetry<Req, Res>(parts: ClientTelemetryParts<Req, Res>): ClientTelemetry<Req, Res> {
  const { semantics, protocol, clock, propagation, repeats } = parts;
  if (semantics === undefined) return { call: [], attempt: [], close: () => undefined };
  const call: Middleware<Req, Res>[] = [];
  const attempt: Middleware<Req, Res>[] = [];
  let close = (): void => undefined;
  if (parts.tracing !== false) {
    const known = standing(parts.bus, parts.service);
    close = known.close;
    const shared = { semantics, protocol, clock, propagation, standing: known };
    call.push(tracing({ ...shared, side: 'client', service: parts.caller, logicalSpan: repeats }));
    attempt.push(attemptTracing({ ...shared, underTracing: true }));
  }
  if (parts.metrics !== false) {
    call.push(metrics({ side: 'client', semantics, protocol, clock, peerOf: (made) => made.service }));
    if (repeats) attempt.push(attemptMetrics());
  }
  return { call, attempt, close };
}

/** What only servers have. */
export interface ServerTelemetryParts<Req, Res> extends TelemetryParts<Req, Res> {
  /** Headers of responses that tell which span served the call. */
  readonly traceHeaders: readonly TraceHeader[] | undefined;
  /** Gets a line for each call. */
  readonly accessLog: AccessLog | undefined;
}

/** Middlewares around the whole call, and around the handler behind all that calls wait in. */
export interface ServerTelemetry<Req, Res> {
  readonly call: readonly Middleware<Req, Res>[];
  readonly handler: readonly Middleware<Req, Res>[];
}

/** Spans, metrics and access log of a server. */
export function serverTelemetry<Req, Res>(parts: ServerTelemetryParts<Req, Res>): ServerTelemetry<Req, Res> {
  const { semantics, protocol, clock, propagation, traceHeaders, accessLog } = parts;
  if (semantics === undefined) return { call: [], handler: [] };
  const call: Middleware<Req, Res>[] = [];
  if (parts.tracing !== false) {
    const shared = { semantics, protocol, clock, propagation };
    call.push(tracing({ ...shared, side: 'server', responseHeaders: traceHeaders }));
  }
  // Inside of the span, so that a line tells of which; outside of whatever may refuse.
  if (accessLog !== undefined) call.push(accessLog.middleware({ semantics, protocol }));
  if (parts.metrics !== false)
    call.push(metrics({ side: 'server', semantics, protocol, clock, peerOf: callerNames() }));
  const looks = parts.tracing !== false || accessLog !== undefined;
  return { call, handler: looks ? [admitted({ clock })] : [] };
}
