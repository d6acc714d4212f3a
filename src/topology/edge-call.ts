import { type Call, triesOf } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import type { Protocol } from '../core/protocol.js';
import { direct, type Receiver, startOf } from '../core/receiver.js';
import { verdictOf } from '../core/verdict.js';
import type { EdgeCounts } from './edge-counts.js';
import { exhausted, flagOf } from './edge-flag.js';
import type { EdgeTally } from './edge-tally.js';

/** What a wire knows of the size of its messages, bodies alone; `undefined` where it does not. Must not throw. */
export interface MessageSizes<in Req, in Res> {
  /** Of a request. */
  request?(request: Req): number | undefined;
  /** Of a response, when its head is there. */
  response?(response: Res): number | undefined;
}

/** What the calls of one client or server have in common. */
export interface EdgeSource<Req, Res> {
  /** The edge of a call that has ended: on a server routing has named the operation by then. */
  tallyOf(call: Call, now: number): EdgeTally;
  /** Tells how a call ended. */
  readonly protocol: Protocol<Req, Res>;
  /** Tells the time. */
  readonly clock: Clock;
  /** What is known of sizes. */
  readonly sizes: MessageSizes<Req, Res> | undefined;
}

/** One call on its way; counted once, when its answer begins or it fails. */
class EdgeCall<Req, Res> implements Receiver<Res> {
  readonly askedAt: number;

  constructor(
    private readonly source: EdgeSource<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
    private readonly outer: Receiver<Res>,
  ) {
    this.askedAt = outer.askedAt;
  }

  answered(response: Res, now: number = this.source.clock.now()): void {
    const { protocol, sizes } = this.source;
    try {
      const outcome = protocol.classify(response, undefined);
      const tries = this.tries();
      const counts = this.counted(now, tries);
      if (outcome !== 'success') counts.note(outcome, exhausted(outcome, tries) ? 'URX' : '-');
      if (sizes !== undefined) {
        counts.noteRequestBytes(sizes.request?.(this.request));
        counts.noteResponseBytes(sizes.response?.(response));
      }
    } catch {
      // A protocol that throws is a bug, which `guard` reports; whoever counts calls must not end them.
    }
    this.outer.answered(response, now);
  }

  failed(error: unknown): void {
    const { protocol, sizes, clock } = this.source;
    try {
      const { outcome } = verdictOf(error, this.call, protocol);
      const tries = this.tries();
      const told = flagOf(error, this.call);
      // What failed again and again has no better reason than that.
      const flag = told === '-' && exhausted(outcome, tries) ? 'URX' : told;
      const counts = this.counted(clock.now(), tries);
      if (outcome !== 'success' || flag !== '-') counts.note(outcome, flag);
      counts.noteRequestBytes(sizes?.request?.(this.request));
    } catch {
      // See above.
    }
    this.outer.failed(error);
  }

  private tries(): number {
    const { call } = this;
    return call.side === 'client' ? triesOf(call) : 1;
  }

  private counted(now: number, tries: number): EdgeCounts {
    const counts = this.source.tallyOf(this.call, now).at(now);
    const ms = now - this.askedAt;
    counts.add(ms > 0 ? ms : 0, tries);
    return counts;
  }
}

/** Counts the calls that pass. It shares the promise of the layers inside of it, and adds one small object to a call. */
export function countingEdges<Req, Res>(source: EdgeSource<Req, Res>): Middleware<Req, Res> {
  return (next) => {
    const start = startOf(next);
    return direct((request, call, outer) => {
      start(request, call, new EdgeCall(source, request, call, outer));
    }, source.clock);
  };
}
