import type { Link, Span, SpanContext } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Cancellation } from '../core/cancel.js';
import { isGovernanceError } from '../core/errors.js';
import { tiedCopies } from '../core/tied-copy.js';

/** Why a try was made. */
export type TryKind = 'first' | 'retry' | 'hedge' | 'tied';

/** A try that is recorded. */
interface Marked {
  readonly span: SpanContext;
  pending: boolean;
}

/** Calls are tried ten times at most, and hedged five; what a user's own middleware makes of that must not grow for ever. */
const most = 64;

/** The recorded tries of one call, and how they stand to each other. */
export class Copies {
  private readonly marks: Marked[] = [];
  /** Two were under way at a time. */
  private parallel = false;
  private won = false;

  /** What a new try is: one that begins while another is not answered is a copy of it, else it follows it. */
  kindOf(call: Call): TryKind {
    if (call.values.get(tiedCopies)?.(call.attempt) !== undefined) return 'tied';
    if (this.marks.length === 0) return 'first';
    return this.marks.some(({ pending }) => pending) ? 'hedge' : 'retry';
  }

  /** A copy is linked to those that run beside it, a retry to the one before. */
  links(kind: TryKind): Link[] {
    const { marks } = this;
    const others = kind === 'retry' ? marks.slice(-1) : marks.filter(({ pending }) => pending);
    return others.map(({ span }) => ({ context: span, attributes: { 'keelson.link': kind } }));
  }

  /** A try begins. */
  add(span: SpanContext): Marked {
    const mark = { span, pending: true };
    if (this.marks.some(({ pending }) => pending)) this.parallel = true;
    if (this.marks.length < most) this.marks.push(mark);
    return mark;
  }

  /** A try has its answer. */
  answered(mark: Marked, span: Span, success: boolean): void {
    mark.pending = false;
    if (!this.parallel || !success) return;
    span.setAttribute('keelson.copy.outcome', this.won ? 'late' : 'won');
    this.won = true;
  }

  /** A try has none; of one that was taken back because another answered that is no error. */
  failed(mark: Marked, span: Span, lost: boolean): void {
    mark.pending = false;
    if (this.parallel && lost) span.setAttribute('keelson.copy.outcome', 'lost');
  }
}

/**
 * Whether a try was taken back while nobody gave the call itself up.
 *
 * @param whole - the cancellation of the call, all tries together
 */
export function isBeaten({ cancel, side }: Call, whole: Cancellation): boolean {
  if (!cancel.aborted || whole.aborted) return false;
  const { reason } = cancel;
  return isGovernanceError(reason) && reason.code === 'CANCELLED' && reason.side === side;
}
