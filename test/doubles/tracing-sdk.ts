import { createRequire } from 'node:module';
import { context, propagation, SpanKind, type TextMapPropagator, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';

// That of the instrumentations, so that the propagator is the one that their users register.
const beside = createRequire(createRequire(import.meta.url).resolve('@opentelemetry/instrumentation-http'));

interface Core {
  readonly CompositePropagator: new (options: {
    propagators: readonly TextMapPropagator[];
  }) => TextMapPropagator;
  readonly W3CTraceContextPropagator: new () => TextMapPropagator;
  readonly W3CBaggagePropagator: new () => TextMapPropagator;
}

/** An SDK as applications set it up, its spans kept in memory. */
export interface TracingSdk {
  /** Spans that have ended, in the order of their ends. */
  spans(): ReadableSpan[];
  /** Those of one kind. */
  ofKind(kind: 'SERVER' | 'CLIENT' | 'INTERNAL'): ReadableSpan[];
  /** Forgets them. */
  reset(): void;
  /** Takes everything that is global away again. */
  stop(): Promise<void>;
}

/** How to set it up. */
export interface TracingSdkOptions {
  readonly sampler?: Sampler;
  /** `false`: nobody carries the context. */
  readonly contextManager?: boolean;
  readonly propagator?: TextMapPropagator;
}

/** Registers an SDK globally. */
export function tracingSdk(options: TracingSdkOptions = {}): TracingSdk {
  const { CompositePropagator, W3CTraceContextPropagator, W3CBaggagePropagator } = beside(
    '@opentelemetry/core',
  ) as Core;
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
    ...(options.sampler === undefined ? {} : { sampler: options.sampler }),
  });
  trace.setGlobalTracerProvider(provider);
  if (options.contextManager !== false) {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  }
  propagation.setGlobalPropagator(
    options.propagator ??
      new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  return {
    spans: () => exporter.getFinishedSpans(),
    ofKind: (kind) => exporter.getFinishedSpans().filter((span) => span.kind === SpanKind[kind]),
    reset: () => exporter.reset(),
    async stop() {
      trace.disable();
      context.disable();
      propagation.disable();
      await provider.shutdown();
    },
  };
}
