import { type Context, context, type Tracer, type TracerProvider } from '@opentelemetry/api';
import { type Clock, systemClock } from '../core/clock.js';
import { checkNumber, resolveOptions, wrongKind } from '../core/options.js';
import type { Random } from '../core/random.js';
import { IdPool } from './id-pool.js';
import { Outlets } from './outlets.js';
import type { SpanProcessorShape } from './processor-sink.js';
import { type Resource, resource } from './resource.js';
import { Sampler } from './sampler.js';
import { type SamplingOptions, type SamplingSettings, samplingSettings } from './sampling.js';
import { SpanKeeper } from './span-keeper.js';
import {
  type SpanLimits,
  type SpanLimitsOptions,
  spanLimitsBounds,
  spanLimitsDefaults,
} from './span-limits.js';
import type { SpanSink } from './span-sink.js';
import { SpanTracer } from './tracer.js';
import { noCounts, type TracerCounts } from './tracer-counts.js';

/** Options of {@link tracers}. */
export interface TracersOptions {
  /** Where the spans go that are kept. */
  readonly sink: SpanSink;
  /**
   * Who records.
   *
   * @defaultValue one with `service.name` `unknown_service`
   */
  readonly resource?: Resource | undefined;
  /**
   * Which traces are kept; see {@link SamplingOptions}. Can be set anew at run time.
   *
   * @defaultValue those of `samplingDefaults`
   */
  readonly sampling?: SamplingOptions | undefined;
  /**
   * How much of a span and of a trace is kept; see {@link SpanLimitsOptions}.
   *
   * @defaultValue those of `spanLimitsDefaults`
   */
  readonly limits?: SpanLimitsOptions | undefined;
  /**
   * Span processors of the OpenTelemetry SDK. They see every recorded span start, and end once it is known what becomes of
   * it: with `tail` sampling, that may be seconds later. Of a span that is not kept the sampled flag is clear.
   *
   * @defaultValue `[]`
   */
  readonly processors?: readonly SpanProcessorShape[] | undefined;
  /**
   * Consecutive calls of one span to the same callee under the same name become one span that says how many, how long
   * together, shortest and longest, if each took no longer than this, succeeded and told nobody its ids; milliseconds.
   * Only of kind CLIENT and PRODUCER. 0 for none.
   *
   * @defaultValue `50`
   */
  readonly compressMs?: number | undefined;
  /**
   * A span that has not ended after so long is ended, marked `keelson.unended` and counted; milliseconds. What is still
   * said of it is not heard. Greater keeps forgotten spans longer in memory.
   *
   * @defaultValue `600_000`
   */
  readonly maxOpenMs?: number | undefined;
  /**
   * Most spans that are open at once in this process; beyond that the oldest is ended in the same way.
   *
   * @defaultValue `20_000`
   */
  readonly maxOpenSpans?: number | undefined;
  /**
   * Bytes that open spans may take together, about; beyond that the oldest is ended in the same way.
   *
   * @defaultValue `67_108_864`
   */
  readonly maxOpenBytes?: number | undefined;
  /**
   * The context of the running code, for spans that are started without one.
   *
   * @defaultValue that of the registered context manager
   */
  readonly active?: (() => Context) | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Makes the ids, instead of the platform's generator; for ids that repeat.
   *
   * @defaultValue the platform's `crypto.getRandomValues`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link TracersOptions}. */
export const tracersDefaults = {
  resource: undefined,
  sampling: undefined,
  limits: undefined,
  processors: [] as readonly SpanProcessorShape[],
  compressMs: 50,
  maxOpenMs: 600_000,
  maxOpenSpans: 20_000,
  maxOpenBytes: 67_108_864,
  active: undefined,
  clock: systemClock,
  random: undefined,
} as const;

interface TracersSettings {
  readonly sink: SpanSink | undefined;
  readonly resource: Resource | undefined;
  readonly sampling: SamplingOptions | undefined;
  readonly limits: SpanLimitsOptions | undefined;
  readonly processors: readonly SpanProcessorShape[];
  readonly compressMs: number;
  readonly maxOpenMs: number;
  readonly maxOpenSpans: number;
  readonly maxOpenBytes: number;
  readonly active: (() => Context) | undefined;
  readonly clock: Clock;
  readonly random: Random | undefined;
}

/** A source of tracers, to be registered with `trace.setGlobalTracerProvider` or handed to whoever makes spans. */
export interface Tracers extends TracerProvider {
  /** How traces are chosen now. */
  readonly sampling: SamplingSettings;
  /** What became of spans so far. */
  readonly counts: Readonly<TracerCounts>;
  /**
   * Chooses traces differently from now on; what is left out is as by default. What is known of routes stays known, and
   * what was taken of a rate stays taken.
   *
   * @throws TypeError or RangeError for options that cannot work
   */
  sample(sampling: SamplingOptions): void;
  /**
   * Keeps a trace that was not kept, or is not decided: what is held of it goes to the sink, and what still comes follows.
   *
   * @returns how many spans were held
   */
  flushTrace(traceId: string): number;
  /**
   * Ends the spans that are open, marks them `keelson.unended`, and keeps those of traces that have failed or are kept; for a
   * process that has nothing left to do. What begins then is recorded as before.
   */
  endOpen(): void;
  /** Resolves once what was kept so far has left, or when that time is over; never rejects. */
  flush(timeoutMs?: number): Promise<void>;
  /**
   * The same, and records nothing from then on; a second call joins the first. Spans that are open are ended, and marked
   * `keelson.unended`.
   */
  close(timeoutMs?: number): Promise<void>;
  /** The same as `flush`, under the name that code knows from the SDK. */
  forceFlush(): Promise<void>;
  /** The same as `close`, under the name that code knows from the SDK. */
  shutdown(): Promise<void>;
}

/** As long as the SDK waits. */
const usualTimeoutMs = 30_000;
/** Libraries have few tracers; whoever makes a new name for each call gets one that is not remembered. */
const maxTracers = 1000;

const readActive = (): Context => context.active();

class OwnTracers implements Tracers {
  readonly counts: TracerCounts = noCounts();
  private readonly outlets: Outlets;
  private readonly keeper: SpanKeeper;
  private readonly ids: IdPool;
  private readonly resource: Resource;
  private readonly known = new Map<string, SpanTracer>();
  private closing: Promise<void> | undefined = undefined;

  constructor(
    private readonly settings: TracersSettings & { readonly sink: SpanSink },
    private readonly limits: SpanLimits,
  ) {
    const { sink, processors, sampling, clock, random } = settings;
    const { compressMs, maxOpenMs, maxOpenSpans, maxOpenBytes } = settings;
    this.outlets = new Outlets({ sink, processors, counts: this.counts, clock });
    this.ids = new IdPool(random);
    this.resource = settings.resource ?? resource({ 'service.name': 'unknown_service' });
    this.keeper = new SpanKeeper({
      outlets: this.outlets,
      sampler: new Sampler(samplingSettings('tracers.sampling', sampling)),
      counts: this.counts,
      clock,
      compressMs,
      maxOpenMs,
      maxOpenSpans,
      maxOpenBytes,
    });
  }

  get sampling(): SamplingSettings {
    return this.keeper.sampler.settings;
  }

  getTracer(name: string, version?: string, options?: { readonly schemaUrl?: string | undefined }): Tracer {
    const schemaUrl = options?.schemaUrl;
    const key = `${name}\n${version}\n${schemaUrl}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const { limits, ids, keeper, counts, settings } = this;
    const { clock, active = readActive } = settings;
    const parts = { resource: this.resource, limits, clock, ids, keeper, counts, active };
    const tracer = new SpanTracer({ name: String(name), version, schemaUrl }, parts);
    if (this.known.size < maxTracers) this.known.set(key, tracer);
    return tracer;
  }

  sample(sampling: SamplingOptions): void {
    const settings = samplingSettings('tracers.sample', sampling);
    if (this.closing === undefined) this.keeper.resample(new Sampler(settings, this.keeper.sampler));
  }

  flushTrace(traceId: string): number {
    return this.keeper.flushTrace(traceId);
  }

  endOpen(): void {
    this.keeper.endOpen();
  }

  flush(timeoutMs: number = usualTimeoutMs): Promise<void> {
    return this.closing ?? this.outlets.flush(timeoutMs);
  }

  close(timeoutMs: number = usualTimeoutMs): Promise<void> {
    this.closing ??= this.shut(timeoutMs);
    return this.closing;
  }

  forceFlush(): Promise<void> {
    return this.flush();
  }

  shutdown(): Promise<void> {
    return this.close();
  }

  private shut(timeoutMs: number): Promise<void> {
    this.keeper.close();
    this.keeper.resample(new Sampler(samplingSettings('tracers.sampling', { mode: 'off' })));
    return this.outlets.close(timeoutMs);
  }
}

/**
 * Makes spans: a `TracerProvider` on `@opentelemetry/api` alone, cheap where a trace is not sampled, bounded where it is.
 *
 * Use it instead of the OpenTelemetry SDK's where its cost matters, or where traces are to be chosen by how they ended.
 * Beside an SDK that is registered already it has no place: use that one.
 *
 * What users write on spans may be anything: objects become text, circles and getters that throw are cut out. A span that
 * has ended takes nothing more. The start of a trace is told by the wall clock, all that follows in it by the monotonic
 * one, so that a clock that is set makes no span negative or hours long.
 *
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const provider = tracers({ sink: exporterSink(exporter), sampling: { mode: 'ratio', ratio: 0.1 } });
 * context.setGlobalContextManager(contextStorage());
 * trace.setGlobalTracerProvider(provider);
 * ```
 */
export function tracers(options: TracersOptions): Tracers {
  const settings = resolveOptions<TracersSettings>(
    'tracers',
    { ...tracersDefaults, sink: undefined },
    options,
    {
      compressMs: { min: 0 },
    },
  );
  const { sink, maxOpenMs, maxOpenSpans, maxOpenBytes } = settings;
  if (typeof sink?.accept !== 'function')
    throw wrongKind('tracers.sink', 'a span sink, such as exporterSink(exporter)', sink);
  checkNumber('tracers.maxOpenMs', maxOpenMs, { above: 0, infinite: true });
  checkNumber('tracers.maxOpenSpans', maxOpenSpans, { min: 1, integer: true });
  checkNumber('tracers.maxOpenBytes', maxOpenBytes, { min: 1 });
  const limits = resolveOptions<SpanLimits>(
    'tracers.limits',
    spanLimitsDefaults,
    settings.limits,
    spanLimitsBounds,
  );
  return new OwnTracers({ ...settings, sink }, limits);
}
