/** Spans of kept traces that never came to the sink, by reason. */
export interface TracerLosses {
  /** There was no room to hold them until it was known that their trace is kept. */
  trace_memory_full: number;
  /** Beyond the limit of spans of their trace, so that they were never recorded; their first span tells of them. */
  trace_limit: number;
  /** The sink threw when it was given them. */
  sink_failed: number;
}

/**
 * What became of the spans of a process, counted from its start. Spans that are not sampled are not counted at all.
 *
 * Once nothing is open or held, `recorded` is the sum of `delivered`, `compressed`, `discarded`, and of those of `lost` that
 * were recorded: all but `trace_limit`.
 */
export interface TracerCounts {
  /** Spans that were recorded. */
  recorded: number;
  /** Spans that the sink has taken; those that stand for several count once. */
  delivered: number;
  /** Spans that became part of a composite. */
  compressed: number;
  /** Spans beyond the limit of their trace, whether it is kept or not. */
  overLimit: number;
  /** Spans that nobody ended in time, or before the end of all, so that they were ended here. */
  unended: number;
  /** Spans of traces that the tail decision did not keep, or that were undecided at the end, and that nobody asked for. */
  discarded: number;
  /** Of those, the ones that had to go early, for want of room. */
  evicted: number;
  /** Spans of kept traces that never came to the sink. */
  readonly lost: TracerLosses;
  /** Things said of spans after their end. */
  late: number;
  /** Attributes, events and links beyond the limits. */
  dropped: number;
  /** Errors of sinks and processors. */
  faults: number;
}

/** All zero. */
export function noCounts(): TracerCounts {
  return {
    recorded: 0,
    delivered: 0,
    compressed: 0,
    overLimit: 0,
    unended: 0,
    discarded: 0,
    evicted: 0,
    lost: { trace_memory_full: 0, trace_limit: 0, sink_failed: 0 },
    late: 0,
    dropped: 0,
    faults: 0,
  };
}
