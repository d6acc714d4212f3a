import {
  type Attributes,
  INVALID_SPAN_CONTEXT,
  type Link,
  type Span,
  SpanKind,
  type SpanOptions,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { checkChoice } from '../core/options.js';
import { runningContext } from './active-span.js';
import { type Messaging, messagingSpan } from './messaging.js';
import { isSuppressed, isUnused, type TracerSource, tracerSource } from './open-telemetry.js';
import { describe } from './span-record.js';
import { runInSpan } from './span-run.js';
import { linkTo, type SpanToken } from './span-token.js';

/** What a span is of; see {@link WorkSpanOptions.kind}. */
export type WorkSpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

const kinds: Readonly<Record<WorkSpanKind, SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

/** Options of {@link span}. */
export interface WorkSpanOptions {
  /**
   * What it is of: work of this process, a request that was received or sent, a message.
   *
   * @defaultValue `'internal'`, with `messaging` what belongs to its operation
   */
  readonly kind?: WorkSpanKind | undefined;
  /**
   * What is known when it begins.
   *
   * @defaultValue none
   */
  readonly attributes?: Attributes | undefined;
  /**
   * Spans that it has to do with and is no child of: those that wait for work which is done once for all of them.
   *
   * @defaultValue none
   */
  readonly links?: readonly SpanToken[] | undefined;
  /**
   * The message that is sent, in the words of the semantic conventions.
   *
   * @defaultValue none
   */
  readonly messaging?: Messaging | undefined;
  /**
   * Makes the span.
   *
   * @defaultValue the one that is registered globally, looked up at each call
   */
  readonly tracerProvider?: TracerProvider | undefined;
}

const inert: Span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

let globalSource: TracerSource | undefined;

/** The tracer of a registered SDK, or of the provider that was given. */
export function workTracer(given: TracerProvider | undefined): Tracer | undefined {
  if (given !== undefined) return tracerSource(given).live();
  if (isUnused()) return undefined;
  globalSource ??= tracerSource(undefined);
  return globalSource.live();
}

function linksOf(tokens: readonly SpanToken[] | undefined): Link[] {
  return (tokens ?? []).flatMap((token) => linkTo(token) ?? []);
}

function optionsOf({ kind, attributes, links, messaging }: WorkSpanOptions): SpanOptions {
  const sent = messaging && messagingSpan(messaging, 'send');
  const chosen = kind && kinds[checkChoice('span.kind', kind, Object.keys(kinds) as WorkSpanKind[])];
  const options: SpanOptions = { kind: chosen ?? sent?.kind ?? SpanKind.INTERNAL, links: linksOf(links) };
  // Attributes of the user's may throw when they are read.
  describe(() => {
    options.attributes = { ...sent?.attributes, ...attributes };
  });
  return options;
}

/**
 * Runs a function within a span of its own, sync or async.
 *
 * Use it for work of your own that is worth seeing in a trace: a query, a computation, a message that is sent. Not for calls
 * of governed clients, which have spans already. The span ends once, when the function returns, throws or its promise settles;
 * what it threw is recorded and thrown on. Without an SDK the function simply runs, at the price of one look.
 *
 * Where nobody carries the context (an SDK without a context manager), spans inside are not its children.
 *
 * @param name - of low cardinality: `load cart`, never with an id in it
 * @throws what the function throws; RangeError for a kind that is none
 * @example
 * ```ts
 * const cart = await span('load cart', () => db.load(id), { attributes: { 'cart.items': 3 } });
 * await span('send emails', () => queue.add({ to, trace: spanToken() }), {
 *   messaging: { system: 'bullmq', destination: 'emails' },
 * });
 * ```
 */
export function span<T>(name: string, run: (span: Span) => T, options: WorkSpanOptions = {}): T {
  const tracer = workTracer(options.tracerProvider);
  if (tracer === undefined) return run(inert);
  const parent = runningContext();
  if (isSuppressed(parent)) return run(inert);
  const made = tracer.startSpan(name, optionsOf(options), parent);
  return runInSpan(made, trace.setSpan(parent, made), run);
}
