import type { Attributes } from '@opentelemetry/api';
import type { Call } from '../core/call.js';

/** One histogram or counter, as OpenTelemetry wants it described. */
export interface InstrumentDescription {
  /** Full name: `http.server.request.duration`. */
  readonly name: string;
  /** One sentence. */
  readonly description: string;
  /** UCUM unit: `s`, `{request}`. */
  readonly unit: string;
  /**
   * Bounds of a histogram's buckets.
   *
   * @defaultValue none
   */
  readonly buckets?: readonly number[] | undefined;
}

/**
 * What one side of a wire is called in traces and metrics. Spans and measurements are made from this and the call alone,
 * so that another wire needs another description and nothing else.
 *
 * Asked only for what is recorded: an unsampled span costs no attributes. A description must not throw.
 *
 * @typeParam Req - the wire's request
 * @typeParam Res - the wire's response
 */
export interface Semantics<in Req, in Res> {
  /** Name of a span; of low cardinality. */
  spanName(request: Req, call: Call): string;
  /** Attributes that are known before the call is sent or handled. */
  requestAttributes(request: Req, call: Call): Attributes;
  /** Attributes that are known when the response is. */
  responseAttributes(response: Res, call: Call): Attributes;
  /** Attributes of a call that ended without a response. Left out: none. */
  errorAttributes?(error: unknown, call: Call): Attributes;
  /** Why a response counts as an error on this side, in a word of low cardinality; `undefined` when it does not. */
  errorType(response: Res): string | undefined;
  /** The template that the call was routed by, if it is known. Left out: the wire has none. */
  route?(call: Call): string | undefined;
  /** Attributes of low cardinality for the measurement of calls under way. */
  activeAttributes(request: Req, call: Call): Attributes;
  /** Attributes of low cardinality for the measurement of a call that is over; without a response if it failed. */
  durationAttributes(request: Req, response: Res | undefined, call: Call): Attributes;
  /** How long calls take, in seconds. */
  readonly duration: InstrumentDescription;
  /** Calls under way. Left out: not measured. */
  readonly active?: InstrumentDescription | undefined;
  /**
   * Whether somebody else traces what this wire sends at this moment. Then the call runs with tracing suppressed, after
   * our own headers were written. Left out: nobody does.
   */
  instrumented?(): boolean;
}
