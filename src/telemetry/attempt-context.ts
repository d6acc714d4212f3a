import { type Context, createContextKey, type Span, trace } from '@opentelemetry/api';
import { spanWith } from './span-with.js';

// By its name, so that every copy of the package has the same key.
const attemptKey = createContextKey('keelson attempt');

/** The context of one try of a governed call, whose headers carry its span. */
export function attemptContext(parent: Context, span: Span): Context {
  return spanWith(parent, span, { key: attemptKey, value: span });
}

/**
 * The span of the try that a context belongs to, if none has been begun within. Unlike its kind, which a span that is not
 * recorded does not have, this tells of every try.
 */
export function attemptSpan(within: Context): Span | undefined {
  const span = trace.getSpan(within);
  return span !== undefined && within.getValue(attemptKey) === span ? span : undefined;
}
