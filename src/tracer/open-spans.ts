import type { RecordedSpan } from './recorded-span.js';

/** The spans that have not ended, oldest first: a list through the spans themselves, so that joining and leaving is a few writes. */
export class OpenSpans {
  size = 0;
  /** About how many bytes they take besides themselves: what is written on those that are not small. */
  bytes = 0;
  private first: RecordedSpan | undefined = undefined;
  private last: RecordedSpan | undefined = undefined;

  /** The one that is open longest. */
  get oldest(): RecordedSpan | undefined {
    return this.first;
  }

  add(span: RecordedSpan): void {
    const { last } = this;
    span.before = last;
    if (last === undefined) this.first = span;
    else last.after = span;
    this.last = span;
    this.size++;
    span.among = this;
    span.weigh();
  }

  remove(span: RecordedSpan): void {
    const { before, after } = span;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    span.before = undefined;
    span.after = undefined;
    span.among = undefined;
    this.bytes -= span.weight;
    this.size--;
  }

  *[Symbol.iterator](): IterableIterator<RecordedSpan> {
    let span = this.first;
    while (span !== undefined) {
      const next: RecordedSpan | undefined = span.after;
      yield span;
      span = next;
    }
  }
}
