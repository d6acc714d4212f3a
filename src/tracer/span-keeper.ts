import { type Context, SpanStatusCode } from '@opentelemetry/api';
import type { Clock, Timer } from '../core/clock.js';
import { type Surroundings, surroundings } from '../core/current.js';
import { canJoin, describeComposite, isAlike } from './compression.js';
import { HeldTraces } from './held-traces.js';
import type { HeldSpan, LocalTrace } from './local-trace.js';
import { OpenSpans } from './open-spans.js';
import type { Outlets } from './outlets.js';
import type { RecordedSpan } from './recorded-span.js';
import type { Sampler } from './sampler.js';
import type { TracerCounts } from './tracer-counts.js';

/** How often it is looked for spans that nobody ends, and for what was held long enough. */
const sweepMs = 5000;
/** Ending a span is work: so many at once, and what else the process does in between. */
const mostAtOnce = 256;
const betweenMs = 2;

/** What a keeper needs. */
export interface KeeperParts {
  readonly outlets: Outlets;
  readonly sampler: Sampler;
  readonly counts: TracerCounts;
  readonly clock: Clock;
  readonly compressMs: number;
  readonly maxOpenMs: number;
  readonly maxOpenSpans: number;
  readonly maxOpenBytes: number;
}

/** Follows recorded spans from their start to where they go. */
export class SpanKeeper {
  sampler: Sampler;
  private readonly open = new OpenSpans();
  private readonly held: HeldTraces;
  private readonly home: Surroundings = surroundings();
  private timer: Timer | undefined = undefined;
  private closed = false;
  /** What ends now is cut short, and teaches nothing. */
  private cutting = false;

  constructor(private readonly parts: KeeperParts) {
    this.sampler = parts.sampler;
    this.held = new HeldTraces(parts.sampler.settings, (trace, spans) => this.dropped(trace, spans));
  }

  /** From now on traces are chosen like this. */
  resample(sampler: Sampler): void {
    this.sampler = sampler;
    this.held.limit(sampler.settings);
  }

  started(span: RecordedSpan, within: Context): void {
    if (this.closed) {
      refuse(span);
      return;
    }
    this.parts.counts.recorded++;
    this.open.add(span);
    if (this.isFull) this.makeRoom(span);
    if (this.timer === undefined) this.watch();
    this.parts.outlets.started(span, within);
  }

  /** Just before the end. */
  ending(span: RecordedSpan): void {
    const { overflow } = span.trace;
    if (overflow !== undefined && span.isFirst) {
      span.note('keelson.dropped_spans', overflow.count);
      for (const { name, kind, failed, count, sumMs } of overflow.groups())
        span.noteEvent('keelson.dropped_spans', { name, kind, failed, count, sum_ms: sumMs });
    }
    this.parts.outlets.ending(span);
  }

  ended(span: RecordedSpan, now: number): void {
    this.open.remove(span);
    const { trace, waiting, parent } = span;
    if (span.status.code === SpanStatusCode.ERROR) trace.failed = true;
    if (waiting !== undefined) {
      span.waiting = undefined;
      this.leave(waiting, now);
    }
    span.parent = undefined;
    if (parent === undefined || !this.joins(span, parent, now)) this.leave(span, now);
    if (span.isFirst) this.finish(trace, span, now);
    else if (trace.fate === 'open' && trace.failed && this.sampler.rescues(trace, now)) this.keep(trace);
  }

  /** Keeps all that is here of a trace, and what still comes of it. @returns how many spans were held */
  flushTrace(traceId: string): number {
    const parts = new Set(this.held.find(traceId));
    for (const { trace } of this.open)
      if (trace.traceId === traceId && trace.fate === 'open') parts.add(trace);
    let count = 0;
    for (const trace of parts) count += this.keep(trace);
    return count;
  }

  /** Ends what is open now and decides what is undecided: a trace that has failed by now is kept. */
  endOpen(): void {
    const open = [...this.open];
    const failed = new Set<LocalTrace>();
    for (const { trace, status } of open)
      if (trace.failed || status.code === SpanStatusCode.ERROR) failed.add(trace);
    for (const trace of failed) if (trace.fate === 'open') this.keep(trace);
    this.cutting = true;
    for (const span of open) if (!span.ended) this.cutShort(span);
    this.cutting = false;
  }

  /** The same, for good: takes nothing from then on. */
  close(): void {
    this.closed = true;
    this.timer?.cancel();
    this.timer = undefined;
    this.endOpen();
    this.held.clear();
  }

  /** Whether a span that has ended is shown by a sibling, or waits for siblings like it. */
  private joins(span: RecordedSpan, parent: RecordedSpan, now: number): boolean {
    const { compressMs, counts, outlets } = this.parts;
    const { waiting } = parent;
    if (compressMs > 0 && !parent.ended && canJoin(span, compressMs)) {
      if (waiting !== undefined && isAlike(waiting, span)) {
        waiting.absorb(span);
        counts.compressed++;
        span.trace.spans--;
        outlets.withhold(span);
        return true;
      }
      parent.waiting = span;
      if (waiting !== undefined) this.leave(waiting, now);
      return true;
    }
    if (waiting !== undefined) {
      parent.waiting = undefined;
      this.leave(waiting, now);
    }
    return false;
  }

  /** Nothing more is written on a span. */
  private leave(span: RecordedSpan, now: number): void {
    const { trace, composite } = span;
    if (composite !== undefined) describeComposite(span, composite);
    if (trace.fate === 'kept') this.parts.outlets.deliver(span);
    else if (trace.fate === 'dropped' || !this.held.hold(trace, span, now)) this.pass(trace, span);
  }

  /** Nobody will see this span. Whether it is missed is known when the fate of its trace is. */
  private pass(trace: LocalTrace, span: RecordedSpan): void {
    const { counts, outlets } = this.parts;
    if (trace.fate === 'open') trace.unheld++;
    else {
      counts.discarded++;
      if (trace.crowdedOut) counts.evicted++;
    }
    outlets.withhold(span);
  }

  /** Nobody will see this trace. */
  private dropped(trace: LocalTrace, held: readonly HeldSpan[]): void {
    const { counts, outlets } = this.parts;
    const { unheld } = trace;
    trace.unheld = 0;
    counts.discarded += held.length + unheld;
    counts.evicted += trace.crowdedOut ? held.length + unheld : unheld;
    for (const span of held) outlets.withhold(span);
  }

  /** The first span has ended: is the trace worth it? */
  private finish(trace: LocalTrace, first: RecordedSpan, now: number): void {
    trace.endedAt = now;
    const wasOpen = trace.fate === 'open';
    if (!wasOpen && !trace.watched) return;
    const worthIt =
      !this.cutting && this.sampler.judge(trace, { name: first.name, lengthMs: first.lengthMs, now });
    if (!wasOpen) return;
    if (worthIt) this.keep(trace);
    else this.held.retire(trace, now);
  }

  private keep(trace: LocalTrace): number {
    trace.keep();
    const spans = this.held.release(trace);
    for (const span of spans) this.parts.outlets.deliver(span);
    return spans.length;
  }

  private get isFull(): boolean {
    const { open, parts } = this;
    return open.size > parts.maxOpenSpans || open.bytes > parts.maxOpenBytes;
  }

  /** For the latest the oldest go: they are the likeliest to be forgotten. */
  private makeRoom(latest: RecordedSpan): void {
    for (let left = mostAtOnce; left > 0 && this.isFull; left--) {
      const { oldest } = this.open;
      if (oldest === undefined || oldest === latest) return;
      this.giveUp(oldest);
    }
  }

  /** Ends a span for whoever forgot it. How long it took nobody knows, so its route learns nothing from it. */
  private giveUp(span: RecordedSpan): void {
    span.trace.failed = true;
    if (span.isFirst) span.trace.watched = false;
    this.cutShort(span);
  }

  /** Ends a span that is not over. */
  private cutShort(span: RecordedSpan): void {
    this.parts.counts.unended++;
    span.note('keelson.unended', true);
    span.end();
  }

  /** The timer belongs to nobody: started in the call that is here first, it would keep all that the call keeps. */
  private watch(ms: number = sweepMs): void {
    if (this.closed) return;
    this.home.runInAsyncScope(() => {
      this.timer = this.parts.clock.after(ms, this.sweep);
    });
  }

  private readonly sweep = (): void => {
    const { clock, maxOpenMs } = this.parts;
    const now = clock.now();
    const isForgotten = (span: RecordedSpan | undefined): span is RecordedSpan =>
      span !== undefined && now - span.startedAt > maxOpenMs;
    for (let left = mostAtOnce; left > 0; left--) {
      const { oldest } = this.open;
      if (!isForgotten(oldest)) break;
      this.giveUp(oldest);
    }
    const done = this.held.evict(now, 0) && !isForgotten(this.open.oldest);
    this.timer = undefined;
    if (this.open.size > 0 || !this.held.isEmpty) this.watch(done ? sweepMs : betweenMs);
  };
}

/** After the end nothing is recorded any more, not even below spans that were. */
function refuse(span: RecordedSpan): void {
  span.trace.fate = 'dropped';
  if (span.holder !== undefined) span.holder.record = undefined;
}
