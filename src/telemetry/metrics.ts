import type { Attributes, Counter, Histogram, MeterProvider, UpDownCounter } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import { isGovernanceError } from '../core/errors.js';
import { invoke, type Middleware } from '../core/handler.js';
import { handlerError } from '../core/handler-error.js';
import { checkChoice, resolveOptions } from '../core/options.js';
import type { Protocol } from '../core/protocol.js';
import { errorTypeOf } from './error-name.js';
import { lazyInstruments } from './open-telemetry.js';
import type { InstrumentDescription, Semantics } from './semantics.js';
import { describe } from './span-record.js';
import { scopeOf } from './trace-scope.js';
import { checkSemantics } from './tracing-options.js';
import { untilEnd } from './until-end.js';

/** Options of {@link metrics}. */
export interface MetricsOptions<Req, Res> {
  /** Which end of the wire. */
  readonly side: 'client' | 'server';
  /** What is measured on this side of the wire: `httpClientSemantics`, `httpServerSemantics`. */
  readonly semantics: Semantics<Req, Res>;
  /**
   * Tells when a response is over; without it a call is measured to its response's headers.
   *
   * @defaultValue none
   */
  readonly protocol?: Protocol<Req, Res> | undefined;
  /**
   * Names the service at the other end, told as `service.peer.name` with each duration: then these histograms, and their
   * exemplars, are of edges. Of low cardinality.
   *
   * @defaultValue none
   */
  readonly peerOf?: ((call: Call) => string | undefined) | undefined;
  /**
   * Counts calls under way too: `http.server.active_requests`, `http.client.active_requests`. Their names are not stable
   * in the conventions yet.
   *
   * @defaultValue `true`
   */
  readonly activeRequests?: boolean | undefined;
  /**
   * Makes the instruments.
   *
   * @defaultValue the one that is registered globally, looked up at each call
   */
  readonly meterProvider?: MeterProvider | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link MetricsOptions}. */
export const metricsDefaults = {
  side: undefined,
  semantics: undefined,
  protocol: undefined,
  peerOf: undefined,
  activeRequests: true,
  meterProvider: undefined,
  clock: systemClock,
} as const;

interface Settings<Req, Res> {
  readonly side: 'client' | 'server';
  readonly semantics: Semantics<Req, Res>;
  readonly protocol: Protocol<Req, Res> | undefined;
  readonly peerOf: ((call: Call) => string | undefined) | undefined;
  readonly activeRequests: boolean;
  readonly meterProvider: MeterProvider | undefined;
  readonly clock: Clock;
}

interface Instruments {
  readonly duration: Histogram;
  readonly active: UpDownCounter | undefined;
  readonly rejections: Counter;
}

/** The call was refused or ended by keelson on this side, not by whom it called or by the handler's own callees. */
function ownRefusal(error: unknown, call: Call): string | undefined {
  if (!isGovernanceError(error)) return undefined;
  return error.side === undefined || error.side === call.side ? error.code : undefined;
}

/** One call that is measured. It is over once. */
class Measurement<Req, Res> {
  private over = false;
  private readonly startedAt: number;
  private active: Attributes | undefined = undefined;

  constructor(
    private readonly settings: Settings<Req, Res>,
    private readonly instruments: Instruments,
    private readonly request: Req,
    private readonly call: Call,
  ) {
    this.startedAt = settings.clock.now();
    if (instruments.active === undefined) return;
    describe(() => {
      this.active = settings.semantics.activeAttributes(request, call);
    });
    instruments.active.add(1, this.active);
  }

  follow(running: Promise<Res>): Promise<Res> {
    return running.then(
      (response) => {
        this.answered(response);
        return response;
      },
      (error: unknown) => {
        this.end(this.attributes(undefined, error), error);
        throw error;
      },
    );
  }

  private answered(response: Res): void {
    untilEnd(response, this.settings.protocol, {
      tell: (there) => this.attributes(there, undefined),
      close: (attributes) => this.end(attributes, undefined),
    });
  }

  private end(attributes: Attributes | undefined, error: unknown): void {
    if (this.over) return;
    this.over = true;
    const { instruments, call } = this;
    instruments.active?.add(-1, this.active);
    const seconds = Math.max(0, this.settings.clock.now() - this.startedAt) / 1000;
    // In the context of the call, which is another where a body ends: exemplars are of its span.
    const within = scopeOf(call)?.context;
    if (attributes !== undefined) describe(() => instruments.duration.record(seconds, attributes, within));
    const thrown = error ?? (call.side === 'server' ? call.values.get(handlerError) : undefined);
    const code = ownRefusal(thrown, call);
    if (code === undefined) return;
    instruments.rejections.add(1, {
      'keelson.rejection': code,
      'keelson.side': call.side,
      'keelson.service': call.service,
    });
  }

  /** `undefined` if the semantics throw. */
  private attributes(response: Res | undefined, error: unknown): Attributes | undefined {
    const { settings, call } = this;
    let made: Attributes | undefined;
    describe(() => {
      const attributes = settings.semantics.durationAttributes(this.request, response, call);
      const type = response === undefined ? errorTypeOf(error) : settings.semantics.errorType(response);
      if (type !== undefined) attributes['error.type'] = type;
      const peer = settings.peerOf?.(call);
      if (peer !== undefined) attributes['service.peer.name'] = peer;
      made = attributes;
    });
    return made;
  }
}

/**
 * Measures calls with OpenTelemetry: durations under the stable names of the semantic conventions, calls under way, and
 * `keelson.rejections` by code.
 *
 * Use it next to `tracing`, outside of everything that may refuse: then refused calls are measured too. On a client it
 * measures the whole call with all its tries, which is what the caller waits for; {@link attemptMetrics} counts tries.
 * Beside an instrumentation of HTTP that measures as well, the same names appear in two instrumentation scopes: choose
 * one in the views of your SDK.
 *
 * Attributes are of low cardinality only: method (`_OTHER` for one that nobody knows), route template, status code,
 * `error.type`, and on clients the logical service. Instruments are made when an SDK is there; without one a call costs
 * one look.
 *
 * @throws TypeError or RangeError for options that cannot be understood
 * @example
 * ```ts
 * const server = compose([metrics({ side: 'server', semantics: httpServerSemantics, protocol })], handler);
 * ```
 *
 * Source: OpenTelemetry semantic conventions for HTTP metrics. kratos' `contrib/otel/metrics` has counters of its own
 * names beside a histogram; here the histogram's count is that counter.
 */
export function metrics<Req, Res>(options: MetricsOptions<Req, Res>): Middleware<Req, Res> {
  type Open = Omit<Settings<Req, Res>, 'side' | 'semantics'> & {
    readonly side: 'client' | 'server' | undefined;
    readonly semantics: Semantics<Req, Res> | undefined;
  };
  const given = resolveOptions<Open>('metrics', metricsDefaults, options);
  const settings: Settings<Req, Res> = {
    ...given,
    side: checkChoice('metrics.side', given.side, ['client', 'server']),
    semantics: checkSemantics('metrics', given.semantics),
  };
  const instrumentsOf = lazyInstruments((meter): Instruments => {
    const { duration, active } = settings.semantics;
    return {
      duration: meter.createHistogram(duration.name, adviceOf(duration)),
      active:
        active === undefined || !settings.activeRequests
          ? undefined
          : meter.createUpDownCounter(active.name, adviceOf(active)),
      rejections: meter.createCounter('keelson.rejections', {
        description: 'Calls that keelson refused or ended, by code.',
        unit: '{call}',
      }),
    };
  }, settings.meterProvider);
  return (next) => (request, call) => {
    const instruments = instrumentsOf();
    if (instruments === undefined) return next(request, call);
    const measurement = new Measurement(settings, instruments, request, call);
    return measurement.follow(invoke(next, request, call));
  };
}

/** How an instrument is made. */
export function adviceOf({ description, unit, buckets }: InstrumentDescription) {
  return buckets === undefined
    ? { description, unit }
    : { description, unit, advice: { explicitBucketBoundaries: [...buckets] } };
}
