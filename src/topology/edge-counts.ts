import type { Outcome } from '../core/outcome.js';
import { type ResponseFlag, responseFlags } from '../core/response-flag.js';
import { LatencySketch } from '../stats/latency-sketch.js';
import type { EdgeEnd } from './edge.js';

const outcomes: readonly Outcome[] = ['success', 'failure', 'overload', 'ignored', 'unsent'];
const failed: ReadonlySet<Outcome> = new Set<Outcome>(['failure', 'overload', 'unsent']);

/** One number for each pair of an outcome and a flag. */
function codeOf(outcome: Outcome, flag: ResponseFlag): number {
  // One of another copy of the package may be unknown here: then there is nothing to tell.
  return outcomes.indexOf(outcome) * responseFlags.length + Math.max(0, responseFlags.indexOf(flag));
}

/** What is counted of the calls of one edge in one window. A call that succeeds is a few additions. */
export class EdgeCounts {
  count = 0;
  tries = 0;
  sumMs = 0;
  maxMs = 0;
  requestBytes = Number.NaN;
  responseBytes = Number.NaN;
  readonly sketch = new LatencySketch();
  /** How calls ended that did not simply succeed: most do, and those need no entry. */
  private odd: Map<number, number> | undefined = undefined;

  /** A call ended. */
  add(durationMs: number, tries: number): void {
    this.count++;
    this.tries += tries;
    this.sumMs += durationMs;
    if (durationMs > this.maxMs) this.maxMs = durationMs;
    this.sketch.add(durationMs);
  }

  /** How the call that was added last ended, unless it simply succeeded. */
  note(outcome: Outcome, flag: ResponseFlag): void {
    this.odd ??= new Map();
    const code = codeOf(outcome, flag);
    this.odd.set(code, (this.odd.get(code) ?? 0) + 1);
  }

  /** The size of a request or message of the call that was added last, if it is known. */
  noteRequestBytes(bytes: number | undefined): void {
    if (bytes !== undefined && bytes >= 0) this.requestBytes = (this.requestBytes || 0) + bytes;
  }

  /** The size of its answer. */
  noteResponseBytes(bytes: number | undefined): void {
    if (bytes !== undefined && bytes >= 0) this.responseBytes = (this.responseBytes || 0) + bytes;
  }

  /** Adds all that another one has. */
  merge(other: EdgeCounts): void {
    this.count += other.count;
    this.tries += other.tries;
    this.sumMs += other.sumMs;
    this.maxMs = Math.max(this.maxMs, other.maxMs);
    if (other.requestBytes >= 0) this.noteRequestBytes(other.requestBytes);
    if (other.responseBytes >= 0) this.noteResponseBytes(other.responseBytes);
    this.sketch.merge(other.sketch);
    if (other.odd === undefined) return;
    this.odd ??= new Map();
    for (const [code, count] of other.odd) this.odd.set(code, (this.odd.get(code) ?? 0) + count);
  }

  /** Begins anew. */
  clear(): void {
    this.count = 0;
    this.tries = 0;
    this.sumMs = 0;
    this.maxMs = 0;
    this.requestBytes = Number.NaN;
    this.responseBytes = Number.NaN;
    this.sketch.clear();
    this.odd = undefined;
  }

  /** Calls that failed, were shed or were refused. */
  get errors(): number {
    return this.ends().reduce((sum, { outcome, count }) => (failed.has(outcome) ? sum + count : sum), 0);
  }

  /** How the calls ended. */
  ends(): readonly EdgeEnd[] {
    let plain = this.count;
    const ends: EdgeEnd[] = [];
    for (const [code, count] of this.odd ?? []) {
      plain -= count;
      const outcome = outcomes[Math.floor(code / responseFlags.length)] as Outcome;
      ends.push({ outcome, flag: responseFlags[code % responseFlags.length] as ResponseFlag, count });
    }
    return plain > 0 ? [{ outcome: 'success', flag: '-', count: plain }, ...ends] : ends;
  }
}
