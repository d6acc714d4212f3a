import { type Context, createContextKey, type Span } from '@opentelemetry/api';

// The api makes equal keys of equal names, so this is its own key for the span of a context.
const spanKey = createContextKey('OpenTelemetry Context Key SPAN');

/**
 * A context with a span and with what is known of it, in one object: the api copies a table for each value that is set, and
 * nothing is made as often as this. What is set on it makes a context of the api's.
 */
class SpanWith implements Context {
  constructor(
    private readonly parent: Context,
    private readonly span: Span,
    private readonly key: symbol,
    private readonly known: unknown,
  ) {}
  getValue(key: symbol): unknown {
    if (key === spanKey) return this.span;
    return key === this.key ? this.known : this.parent.getValue(key);
  }
  setValue(key: symbol, value: unknown): Context {
    return this.plain().setValue(key, value);
  }
  deleteValue(key: symbol): Context {
    return this.plain().deleteValue(key);
  }
  private plain(): Context {
    return this.parent.setValue(spanKey, this.span).setValue(this.key, this.known);
  }
}

/** What is known of the span of a context. */
export interface Known {
  /** Under which key others look for it. */
  readonly key: symbol;
  readonly value: unknown;
}

/** The context within a span of which something is known. */
export function spanWith(parent: Context, span: Span, { key, value }: Known): Context {
  return new SpanWith(parent, span, key, value);
}
