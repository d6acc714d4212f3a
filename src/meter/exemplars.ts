import type { Attributes } from '@opentelemetry/api';
import { type Context, context, type SpanContext, TraceFlags, trace } from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import { leftOut } from './attribute-set.js';
import type { Exemplar } from './metric-data.js';

/** An older one leads to a trace that nobody looks at any more; who collects has come by several times. */
const maxAgeMs = 300_000;

/** An exemplar, and in which round of collecting it was taken. */
export interface HeldExemplar {
  readonly exemplar: Exemplar;
  readonly round: number;
}

/** Exemplars of one series: one for each bucket, or only the first. */
export type ExemplarSlots = (HeldExemplar | undefined)[];

/** One measurement that may become an exemplar. */
interface Measurement {
  readonly value: number;
  /** As they were given. */
  readonly attributes: Attributes | undefined;
  readonly series: { readonly attributes: Attributes };
}

/**
 * Takes exemplars: of each bucket the first measurement of a round that was made inside of a sampled span. It stays until
 * one of a later round takes its place, so that several who collect all see it.
 *
 * Source: OpenTelemetry specification, metrics SDK, filter `TraceBased` and `AlignedHistogramBucketExemplarReservoir`.
 * That one takes a later measurement of a bucket over an earlier one, and so looks for a span at each; here a bucket that
 * has its exemplar costs one comparison.
 */
export class ExemplarPicker {
  private round = 0;

  constructor(
    private readonly clock: Clock,
    private readonly enabled: boolean,
  ) {}

  /** Begins a round: whatever is held may be replaced. */
  turn(): void {
    this.round++;
  }

  /**
   * The span that a measurement belongs to, if it should be kept.
   *
   * @param held - what is in its slot
   * @param within - where it was made; the active context when left out
   */
  spanFor(held: HeldExemplar | undefined, within: Context | undefined): SpanContext | undefined {
    if (!this.enabled || held?.round === this.round) return undefined;
    try {
      const span = trace.getSpanContext(within ?? context.active());
      return span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0 ? span : undefined;
    } catch {
      // A context that is none, of a user.
      return undefined;
    }
  }

  take(span: SpanContext, { value, attributes, series }: Measurement): HeldExemplar {
    const exemplar: Exemplar = {
      value,
      atMs: this.clock.wallMs(),
      traceId: span.traceId,
      spanId: span.spanId,
      attributes: leftOut(attributes, series.attributes),
    };
    return { exemplar, round: this.round };
  }
}

const none: readonly Exemplar[] = Object.freeze([]);

/** What the slots hold, the old ones left out. */
export function exemplarsOf(slots: ExemplarSlots, atMs: number): readonly Exemplar[] {
  if (slots.length === 0) return none;
  const fresh: Exemplar[] = [];
  // By index: there are holes.
  for (let at = 0; at < slots.length; at++) {
    const exemplar = slots[at]?.exemplar;
    if (exemplar !== undefined && Math.abs(atMs - exemplar.atMs) <= maxAgeMs) fresh.push(exemplar);
  }
  return fresh;
}
