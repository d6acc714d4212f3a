import type { Context, Span, SpanOptions, Tracer, TracerOptions, TracerProvider } from '@opentelemetry/api';

/** A tracer that hands over to the one of a successor as soon as there is one, however long ago it was asked for. */
class YieldingTracer implements Tracer {
  private taken: Tracer | undefined;

  constructor(
    private readonly provider: YieldingTracerProvider,
    private readonly own: Tracer,
    private readonly given: readonly [string, string | undefined, TracerOptions | undefined],
  ) {}

  startSpan(name: string, options?: SpanOptions, within?: Context): Span {
    return this.current().startSpan(name, options, within);
  }

  startActiveSpan(...args: unknown[]): never {
    const tracer = this.current();
    return Reflect.apply(tracer.startActiveSpan, tracer, args) as never;
  }

  private current(): Tracer {
    const { successor } = this.provider;
    if (successor === undefined) return this.own;
    this.taken ??= successor.getTracer(...this.given);
    return this.taken;
  }
}

/** A tracer provider that steps back when another one comes. */
export class YieldingTracerProvider implements TracerProvider {
  /** Who has come. */
  successor: TracerProvider | undefined = undefined;

  constructor(private readonly own: TracerProvider) {}

  getTracer(name: string, version?: string, options?: TracerOptions): Tracer {
    return new YieldingTracer(this, this.own.getTracer(name, version, options), [name, version, options]);
  }
}
