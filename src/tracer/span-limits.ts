/** How much of a span, and of a trace in this process, is kept. What is beyond is counted. */
export interface SpanLimitsOptions {
  /**
   * Attributes of a span; further names are left out, and counted as dropped. Also those of each event and link.
   *
   * @defaultValue `128`
   */
  readonly maxAttributes?: number | undefined;
  /**
   * Events of a span; the oldest make room for new ones: how it ended tells most.
   *
   * @defaultValue `128`
   */
  readonly maxEvents?: number | undefined;
  /**
   * Links of a span; further ones are left out.
   *
   * @defaultValue `128`
   */
  readonly maxLinks?: number | undefined;
  /**
   * Characters of a value, of the name of a span or event, and of a status message; longer ones are cut. An attribute
   * whose own name is longer is left out. Statements and stacks are what is long: the default keeps what people read.
   *
   * @defaultValue `10_000`
   */
  readonly maxAttributeLength?: number | undefined;
  /**
   * Bytes of a span, all in all: a character counts as one. Values are cut or left out, and old events dropped, to keep
   * within it.
   *
   * @defaultValue `16_384`
   */
  readonly maxSpanBytes?: number | undefined;
  /**
   * Spans of a trace in this process, from its first span here on. Those beyond are not recorded; how many there were,
   * of what name, with what outcome and how long, is told by events `keelson.dropped_spans` of that first span.
   *
   * @defaultValue `1000`
   */
  readonly maxTraceSpans?: number | undefined;
}

/** {@link SpanLimitsOptions} with nothing left open. */
export type SpanLimits = { readonly [Limit in keyof SpanLimitsOptions]-?: number };

/** Defaults of {@link SpanLimitsOptions}. */
export const spanLimitsDefaults = {
  maxAttributes: 128,
  maxEvents: 128,
  maxLinks: 128,
  maxAttributeLength: 10_000,
  maxSpanBytes: 16_384,
  maxTraceSpans: 1000,
} as const;

/** Ranges of {@link SpanLimitsOptions}. */
export const spanLimitsBounds = {
  maxAttributes: { min: 0, integer: true },
  maxEvents: { min: 0, integer: true },
  maxLinks: { min: 0, integer: true },
  maxAttributeLength: { min: 1, integer: true },
  maxSpanBytes: { min: 1024, integer: true },
  maxTraceSpans: { min: 1, integer: true },
} as const;
