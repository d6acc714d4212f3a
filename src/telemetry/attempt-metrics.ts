import type { MeterProvider } from '@opentelemetry/api';
import type { Middleware } from '../core/handler.js';
import { resolveOptions } from '../core/options.js';
import { lazyInstruments } from './open-telemetry.js';

/** Options of {@link attemptMetrics}. */
export interface AttemptMetricsOptions {
  /**
   * Makes the instruments.
   *
   * @defaultValue the one that is registered globally, looked up at each call
   */
  readonly meterProvider?: MeterProvider | undefined;
}

/** Defaults of {@link AttemptMetricsOptions}. */
export const attemptMetricsDefaults = { meterProvider: undefined } as const;

/**
 * Counts the tries of calls: `keelson.attempts` all of them, `keelson.retries` those beyond the first, hedges included.
 *
 * Use it in the endpoint stack of a client with a retry or a hedge: the second counter over the first is the load that
 * they add. Without either it says what {@link metrics} says.
 *
 * @throws TypeError for unknown options
 */
export function attemptMetrics<Req, Res>(options: AttemptMetricsOptions = {}): Middleware<Req, Res> {
  const { meterProvider } = resolveOptions<{ readonly meterProvider: MeterProvider | undefined }>(
    'attemptMetrics',
    attemptMetricsDefaults,
    options,
  );
  const instrumentsOf = lazyInstruments(
    (meter) => ({
      attempts: meter.createCounter('keelson.attempts', {
        description: 'Tries of calls.',
        unit: '{attempt}',
      }),
      retries: meter.createCounter('keelson.retries', {
        description: 'Tries beyond the first of a call.',
        unit: '{attempt}',
      }),
    }),
    meterProvider,
  );
  return (next) => (request, call) => {
    const instruments = instrumentsOf();
    if (instruments !== undefined) {
      const attributes = { 'keelson.service': call.service };
      instruments.attempts.add(1, attributes);
      if (call.attempt.number > 1) instruments.retries.add(1, attributes);
    }
    return next(request, call);
  };
}
