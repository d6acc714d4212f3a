import type { Middleware } from '../core/handler.js';
import { checkChoice } from '../core/options.js';
import { clientTracing } from './client-tracing.js';
import { serverTracing } from './server-tracing.js';
import type { Standing } from './standing.js';
import { checkTraceHeaders, type TraceHeader } from './trace-header.js';
import { type TracingOptions, tracingSettings } from './tracing-options.js';

/** Options of {@link tracing} on a server. */
export interface ServerTracingOptions<Req, Res> extends TracingOptions<Req, Res> {
  /** Which end of the wire. */
  readonly side: 'server';
  /**
   * Headers of the response that tell the caller which span served it: `traceresponse`, `server-timing` (which browsers show, as
   * `traceparent;desc=…`), `x-trace-id`. Set before the handler runs, which may replace them. No effect on wires that have no
   * headers to set.
   *
   * @defaultValue `[]`
   */
  readonly responseHeaders?: readonly TraceHeader[] | undefined;
}

/** Defaults of {@link ServerTracingOptions}; the rest are those of {@link TracingOptions}. */
export const serverTracingDefaults = { responseHeaders: [] } as const;

/** Options of {@link tracing} on a client. */
export interface ClientTracingOptions<Req, Res> extends TracingOptions<Req, Res> {
  /** Which end of the wire. */
  readonly side: 'client';
  /**
   * Logical name of the calling service, this one; goes out in `x-md-service-name`.
   *
   * @defaultValue none: the header is not sent
   */
  readonly service?: string | undefined;
  /**
   * Makes an INTERNAL span around all tries of a call. Give it where a retry or a hedge can make several; with one try
   * it only doubles that try's span. Without it such a span is made only of calls that are refused before any try.
   *
   * @defaultValue `false`
   */
  readonly logicalSpan?: boolean | undefined;
  /**
   * What is known of the breakers and ejections of the service, for spans to tell.
   *
   * @defaultValue none
   */
  readonly standing?: Standing | undefined;
}

/** Defaults of {@link ClientTracingOptions}. */
export const clientTracingDefaults = {
  service: undefined,
  logicalSpan: false,
  standing: undefined,
} as const;

/**
 * Traces calls with OpenTelemetry, and carries trace and baggage on where there is no SDK.
 *
 * Use it outermost in a server stack, and outermost in a client stack with {@link attemptTracing} in each endpoint
 * stack. Not for a handler that nobody calls from outside: a span of your own tracer says more there.
 *
 * On a server: an active span of an auto-instrumentation is adopted, so that there is one SERVER span, with the route as
 * its name; else a SERVER span is started below what the caller sent. The handler runs within it, so spans of user code
 * nest. On a client: remembers who calls, for the tries.
 *
 * Without an SDK there are no spans, a server pays nothing, and a client copies what the inbound call brought: a
 * service without an SDK does not cut traces in two. It begins none either: a trace that nobody records, marked as not
 * sampled, would switch off the tracing of the services behind it.
 *
 * Baggage of peers that are not trusted is dropped on both ways.
 *
 * @throws TypeError or RangeError for options that cannot be understood
 * @example
 * ```ts
 * const client = compose([tracing({ side: 'client', semantics: httpClientSemantics, service: 'orders' })], leaf);
 * const server = compose([tracing({ side: 'server', semantics: httpServerSemantics, protocol })], handler);
 * ```
 *
 * Source: OpenTelemetry semantic conventions for HTTP spans, stable; W3C Trace Context level 2 and Baggage; the service
 * name is kratos' `contrib/otel/tracing`. kratos calls each 4xx an error on both sides; the conventions do on clients.
 */
export function tracing<Req, Res>(
  options: ServerTracingOptions<Req, Res> | ClientTracingOptions<Req, Res>,
): Middleware<Req, Res> {
  if (checkChoice('tracing.side', options?.side, ['client', 'server']) === 'server') {
    const { side: _, responseHeaders, ...rest } = options as ServerTracingOptions<Req, Res>;
    const headers = responseHeaders ?? serverTracingDefaults.responseHeaders;
    return serverTracing(
      tracingSettings('tracing', rest),
      checkTraceHeaders('tracing.responseHeaders', headers),
    );
  }
  const { side: _, service, logicalSpan, standing, ...rest } = options as ClientTracingOptions<Req, Res>;
  return clientTracing(tracingSettings('tracing', rest), {
    service: service ?? clientTracingDefaults.service,
    logicalSpan: logicalSpan ?? clientTracingDefaults.logicalSpan,
    standing,
  });
}
