import { type Context, isSpanContextValid, type Link, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type Carrier, carrier } from '../core/carrier.js';
import { runningContext } from './active-span.js';
import { formatBaggage, parseBaggage } from './baggage.js';
import { baggageOf, sentSpan, withBaggage, withFlags } from './propagation.js';
import type { ReceivedSpan } from './received-span.js';
import { serviceNameHeader } from './service-name.js';
import { readW3c, writeW3c } from './w3c.js';

/**
 * Where in a trace some code runs, as a plain object of strings: to be stored in a job, or sent as headers of a message, and
 * given to `resume` by whoever does the work. The fields are headers, so that consumers of other libraries understand them.
 */
export interface SpanToken {
  /** Trace, span and flags; left out where nothing is traced. */
  readonly traceparent?: string | undefined;
  /** What tracing systems say to each other. */
  readonly tracestate?: string | undefined;
  /** What the application says to all that follow. */
  readonly baggage?: string | undefined;
  /** Logical name of the service that made it, for the graph of calls. */
  readonly 'x-md-service-name'?: string | undefined;
}

/** What a token may hold at most, in characters of each field; more is not read. */
const longest = 16_384;

/**
 * A token of the running code's place in its trace.
 *
 * @param service - logical name of this service; then the consumer's span tells whose message it was, and so does its edge, if
 * `app.processed({ token })` counts it, also where nothing is traced. Left out: neither does
 * @returns `undefined` where there is neither trace nor name; `resume` takes that too
 * @example
 * ```ts
 * await queue.add('email', { to, trace: spanToken() });
 * ```
 */
export function spanToken(service?: string): SpanToken | undefined {
  const within = runningContext();
  const span = sentSpan(within);
  if (span === undefined) return service === undefined ? undefined : { [serviceNameHeader]: service };
  const headers = carrier();
  writeW3c(span, headers);
  const tracestate = headers.get('tracestate');
  const baggage = formatBaggage(baggageOf(within));
  return {
    traceparent: headers.get('traceparent') as string,
    ...(tracestate !== undefined && { tracestate }),
    ...(baggage !== '' && { baggage }),
    ...(service !== undefined && { [serviceNameHeader]: service }),
  };
}

/** A token as headers; of what came out of a job, only what is text. */
export function tokenHeaders(token: unknown): Carrier {
  const headers = carrier();
  if (typeof token !== 'object' || token === null) return headers;
  for (const name of ['traceparent', 'tracestate', 'baggage', serviceNameHeader]) {
    const value = (token as Readonly<Record<string, unknown>>)[name];
    if (typeof value === 'string' && value.length <= longest) headers.set(name, value);
  }
  return headers;
}

/** The span that a token stands for, `undefined` for one that is broken. */
export function tokenSpan(token: unknown): ReceivedSpan | undefined {
  const span = readW3c(tokenHeaders(token));
  return span !== undefined && isSpanContextValid(span) ? span : undefined;
}

/** A link to the span that a token stands for. */
export function linkTo(token: unknown): Link | undefined {
  const span = tokenSpan(token);
  return span && { context: span };
}

/** The context that a token stands for: its span, its baggage. */
export function tokenContext(token: unknown): Context {
  const headers = tokenHeaders(token);
  const span = tokenSpan(token);
  const bare = span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, span);
  return withFlags(withBaggage(bare, parseBaggage(headers.get('baggage'))), span);
}
