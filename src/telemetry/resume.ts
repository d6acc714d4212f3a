import {
  type Attributes,
  type Context,
  INVALID_SPAN_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { createCall } from '../core/call.js';
import { runWithCall } from '../core/current.js';
import { trustedPeer } from '../core/trust.js';
import { type Messaging, messagingSpan } from './messaging.js';
import { serviceNameHeader } from './service-name.js';
import { workTracer } from './span.js';
import { describe } from './span-record.js';
import { runInSpan } from './span-run.js';
import { linkTo, type SpanToken, tokenContext, tokenHeaders } from './span-token.js';
import { openScope } from './trace-scope.js';

/** Options of {@link resume}. */
export interface ResumeOptions {
  /**
   * Name of the span.
   *
   * @defaultValue operation and destination of `messaging`, else `'resume'`
   */
  readonly name?: string | undefined;
  /**
   * The message that is processed, in the words of the semantic conventions.
   *
   * @defaultValue none
   */
  readonly messaging?: Messaging | undefined;
  /**
   * Whether the span is a child of the producer's and of its trace, instead of the first of a trace of its own that is linked
   * to it. For a job that somebody waits for. No effect with several tokens.
   *
   * @defaultValue `false`
   */
  readonly asChild?: boolean | undefined;
  /**
   * What is known when it begins.
   *
   * @defaultValue none
   */
  readonly attributes?: Attributes | undefined;
  /**
   * Makes the span.
   *
   * @defaultValue the one that is registered globally, looked up at each call
   */
  readonly tracerProvider?: TracerProvider | undefined;
}

/** Defaults of {@link ResumeOptions}. */
export const resumeDefaults = {
  name: undefined,
  messaging: undefined,
  asChild: false,
  attributes: undefined,
  tracerProvider: undefined,
} as const;

const inert: Span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

type Token = SpanToken | null | undefined;

/** The work as a call that is served: outgoing calls inherit trace and baggage from it, whoever carries the context. */
function runAsCall<T>(token: Token, within: Context | undefined, run: () => T): T {
  const headers = tokenHeaders(token);
  const call = createCall({
    side: 'server',
    service: headers.get(serviceNameHeader) ?? '',
    operation: 'resume',
    headers,
  });
  // The token comes out of a store of the application's own.
  call.values.set(trustedPeer, true);
  if (within !== undefined) openScope(call, within);
  return runWithCall(call, run);
}

function startConsumer(
  tracer: Tracer,
  tokens: readonly Token[],
  options: ResumeOptions,
): { readonly span: Span; readonly within: Context } {
  const { name, messaging, asChild, attributes } = options;
  const parent = tokenContext(tokens[0]);
  const count = tokens.length > 1 ? { batchCount: tokens.length } : {};
  const message = messaging && messagingSpan({ ...count, ...messaging }, 'process');
  const linked = asChild !== true || tokens.length !== 1;
  const links = linked ? tokens.flatMap((token) => linkTo(token) ?? []) : [];
  const producer = tokenHeaders(tokens[0]).get(serviceNameHeader);
  const spanOptions: SpanOptions = { kind: message?.kind ?? SpanKind.CONSUMER, root: linked, links };
  // Attributes of the user's may throw when they are read.
  describe(() => {
    spanOptions.attributes = {
      ...(producer !== undefined && { 'service.peer.name': producer }),
      ...message?.attributes,
      ...attributes,
    };
  });
  const span = tracer.startSpan(name ?? message?.name ?? 'resume', spanOptions, parent);
  return { span, within: trace.setSpan(parent, span) };
}

/**
 * Does the work of a job within a CONSUMER span that is linked to the span which made the job.
 *
 * Use it where a worker takes a job, with the token that `spanToken` gave the producer; several tokens for a batch, which is linked to
 * all of them. The baggage of the (first) token goes on. A token that is missing or broken costs the link and nothing else.
 * Without an SDK outgoing calls of the work pass the producer's trace on, and logs tell it.
 *
 * @param run - as in {@link span}: its result, or its promise, is the result
 * @throws what the function throws
 * @example
 * ```ts
 * worker.process((job) => resume(job.data.trace, () => send(job.data), {
 *   messaging: { system: 'bullmq', destination: 'emails', messageId: job.id },
 * }));
 * ```
 *
 * Source: OpenTelemetry semantic conventions for messaging: links are the usual correlation, a parent is the exception.
 */
export function resume<T>(
  token: SpanToken | null | undefined | readonly (SpanToken | null | undefined)[],
  run: (span: Span) => T,
  options: ResumeOptions = {},
): T {
  const tokens: readonly Token[] = Array.isArray(token) ? token : [token as Token];
  const [first] = tokens;
  const tracer = workTracer(options.tracerProvider);
  if (tracer === undefined) return runAsCall(first, undefined, () => run(inert));
  const { span, within } = startConsumer(tracer, tokens, options);
  return runAsCall(first, within, () => runInSpan(span, within, run));
}
