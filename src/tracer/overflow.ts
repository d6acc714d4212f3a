import type { SpanKind } from '@opentelemetry/api';

/** Most kinds of dropped spans that are told apart. */
const maxGroups = 32;

/** Dropped spans of one name, kind and outcome. */
export interface DroppedSpans {
  readonly name: string;
  readonly kind: SpanKind;
  readonly failed: boolean;
  count: number;
  sumMs: number;
}

/**
 * What is told of spans beyond the limit of their trace.
 *
 * Source: Elastic APM, `dropped_spans_stats`, which has 128 groups by destination.
 */
export class Overflow {
  /** All of them. */
  count = 0;
  private readonly known = new Map<string, DroppedSpans>();

  add(of: Pick<DroppedSpans, 'name' | 'kind' | 'failed'>, lengthMs: number): void {
    this.count++;
    const key = `${of.kind}${of.failed ? '!' : ' '}${of.name}`;
    let group = this.known.get(key);
    if (group === undefined) {
      if (this.known.size >= maxGroups) return;
      group = { name: of.name, kind: of.kind, failed: of.failed, count: 0, sumMs: 0 };
      this.known.set(key, group);
    }
    group.count++;
    group.sumMs += lengthMs;
  }

  /** By name, kind and outcome; of more than 32 sorts, the first. */
  groups(): Iterable<DroppedSpans> {
    return this.known.values();
  }
}
