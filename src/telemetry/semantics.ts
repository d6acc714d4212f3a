import type { Attributes, Span } from '@opentelemetry/api';
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

/** What an access log tells of a message. All of it may have been written by whoever sent it. */
export interface AccessFacts {
  /** `GET`. */
  readonly method?: string | undefined;
  /** Path and query. */
  readonly target?: string | undefined;
  /** `HTTP/1.1`. */
  readonly protocol?: string | undefined;
  /** Status code, or its name. */
  readonly status?: number | string | undefined;
  /** Address of whoever is connected. */
  readonly peer?: string | undefined;
  /** What the client calls itself. */
  readonly agent?: string | undefined;
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
  /**
   * Sets a header of the response before the handler runs, beside those of its name that are there. Left out: the wire cannot.
   */
  addResponseHeader?(request: Req, name: string, value: string): void;
  /**
   * What a line of an access log says of a call that is over; without a response if it failed. Left out: operation, peer and
   * status as spans say them.
   */
  access?(request: Req, response: Res | undefined, call: Call): AccessFacts;
  /** Calls under way. Left out: not measured. */
  readonly active?: InstrumentDescription | undefined;
  /**
   * Whether somebody else traces what this wire sends at this moment. Then the call runs with tracing suppressed, after
   * our own headers were written. On a server: whether somebody makes the span of a call when its handler begins, so that
   * there is none of ours around it. Left out: nobody does.
   */
  instrumented?(): boolean;
  /**
   * Whether the CLIENT span that a call was made in is of this very call, made by somebody else who traces this wire from
   * the outside. Then the tries have no spans of their own: that one is told of them, and its context goes out. Left out:
   * it is not.
   */
  isOfCall?(span: Span, request: Req, call: Call): boolean;
}
