import type { TracerProvider } from '@opentelemetry/api';
import { type Clock, systemClock } from '../core/clock.js';
import { aboutOption } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';
import type { Protocol } from '../core/protocol.js';
import { chosenPropagation, type Propagation, type PropagationOptions } from './propagation-options.js';
import type { Semantics } from './semantics.js';

/** Options that all tracing middlewares share. */
export interface TracingOptions<Req, Res> {
  /** What this side of the wire is called in spans: `httpClientSemantics`, `httpServerSemantics`. */
  readonly semantics: Semantics<Req, Res>;
  /**
   * Tells when a response is over, so that the span ends with the body, and how a call without a response is judged.
   * Without it a span ends with the response's headers.
   *
   * @defaultValue none
   */
  readonly protocol?: Protocol<Req, Res> | undefined;
  /**
   * Gives samplers the request's attributes. Costs their extraction also for calls that are not sampled; without it a
   * sampler sees name, kind and parent.
   *
   * @defaultValue `false`
   */
  readonly sampleByAttributes?: boolean | undefined;
  /**
   * Makes the spans.
   *
   * @defaultValue the one that is registered globally, looked up at each call
   */
  readonly tracerProvider?: TracerProvider | undefined;
  /**
   * In which words trace and baggage travel. With it no propagator that is registered for the process is asked.
   *
   * @defaultValue that of a `propagator()` that is registered for the process, else W3C is written and everything read
   */
  readonly propagation?: PropagationOptions | undefined;
  /**
   * Tells the time, for what a recorded call waited in line.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link TracingOptions}. */
export const tracingDefaults = {
  semantics: undefined,
  protocol: undefined,
  sampleByAttributes: false,
  tracerProvider: undefined,
  propagation: undefined,
  clock: systemClock,
} as const;

/** {@link TracingOptions}, checked. */
export interface TracingSettings<Req, Res> {
  readonly semantics: Semantics<Req, Res>;
  readonly protocol: Protocol<Req, Res> | undefined;
  readonly sampleByAttributes: boolean;
  readonly tracerProvider: TracerProvider | undefined;
  /** `undefined`: nothing was chosen. */
  readonly propagation: Propagation | undefined;
  readonly clock: Clock;
}

/**
 * Checks an option that has to be a semantics.
 *
 * @throws TypeError when it is none
 */
export function checkSemantics<Req, Res>(
  owner: string,
  semantics: Semantics<Req, Res> | undefined,
): Semantics<Req, Res> {
  if (typeof semantics?.spanName === 'function') return semantics;
  throw aboutOption(new TypeError(`${owner}.semantics must be a Semantics with a spanName function`));
}

/**
 * Lays options over the defaults.
 *
 * @param owner - name of the factory, for messages
 * @throws TypeError for an unknown option or a wrong type
 */
export function tracingSettings<Req, Res>(
  owner: string,
  options: TracingOptions<Req, Res>,
): TracingSettings<Req, Res> {
  const given = resolveOptions<Open<Req, Res>>(owner, tracingDefaults, options);
  return {
    ...given,
    semantics: checkSemantics(owner, given.semantics),
    propagation: chosenPropagation(owner, given.propagation),
  };
}

type Open<Req, Res> = Omit<TracingSettings<Req, Res>, 'semantics' | 'propagation'> & {
  readonly semantics: Semantics<Req, Res> | undefined;
  readonly propagation: PropagationOptions | undefined;
};
