import type { Clock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import type { Protocol } from '../core/protocol.js';
import { attemptMetrics } from '../telemetry/attempt-metrics.js';
import { attemptTracing } from '../telemetry/attempt-tracing.js';
import { metrics } from '../telemetry/metrics.js';
import type { Semantics } from '../telemetry/semantics.js';
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
}

/** Middlewares around the whole call, and around each try. */
export interface Telemetry<Req, Res> {
  readonly call: readonly Middleware<Req, Res>[];
  readonly attempt: readonly Middleware<Req, Res>[];
}

/**
 * Spans and metrics of a client.
 *
 * @param caller - this service, told to the callee
 * @param repeats - whether a call can be tried more than once
 */
export function clientTelemetry<Req, Res>(
  parts: TelemetryParts<Req, Res>,
  caller: string | undefined,
  repeats: boolean,
): Telemetry<Req, Res> {
  const { semantics, protocol, clock } = parts;
  if (semantics === undefined) return { call: [], attempt: [] };
  const call: Middleware<Req, Res>[] = [];
  const attempt: Middleware<Req, Res>[] = [];
  if (parts.tracing !== false) {
    call.push(tracing({ side: 'client', semantics, protocol, service: caller, logicalSpan: repeats }));
    attempt.push(attemptTracing({ semantics, protocol, underTracing: true }));
  }
  if (parts.metrics !== false) {
    call.push(metrics({ side: 'client', semantics, protocol, clock }));
    if (repeats) attempt.push(attemptMetrics());
  }
  return { call, attempt };
}

/** Spans and metrics of a server. */
export function serverTelemetry<Req, Res>(parts: TelemetryParts<Req, Res>): readonly Middleware<Req, Res>[] {
  const { semantics, protocol, clock } = parts;
  if (semantics === undefined) return [];
  const call: Middleware<Req, Res>[] = [];
  if (parts.tracing !== false) call.push(tracing({ side: 'server', semantics, protocol }));
  if (parts.metrics !== false) call.push(metrics({ side: 'server', semantics, protocol, clock }));
  return call;
}
