import type { Call } from '../core/call.js';
import type { CancelSource } from '../core/cancel.js';
import type { Clock } from '../core/clock.js';
import { type GovernanceError, refusal } from '../core/errors.js';
import { type Handler, invoke } from '../core/handler.js';
import type { Outcome } from '../core/outcome.js';
import { discard, type Protocol, whenOver } from '../core/protocol.js';
import { verdictOf } from '../core/verdict.js';

/** What all contests of one middleware share. */
export interface Field<Req, Res> {
  readonly next: Handler<Req, Res>;
  readonly protocol: Protocol<Req, Res>;
  readonly clock: Clock;
}

/** One copy of the call. */
export interface Copy {
  readonly call: Call;
  readonly source: CancelSource;
}

/** How a copy ended without winning. */
export interface Failure<One extends Copy, Res> {
  readonly copy: One;
  readonly outcome: Outcome;
  /** Boxed: a response may be `undefined`. */
  readonly response: { readonly value: Res } | undefined;
  readonly error: unknown;
}

/** Copies of one call that are under way at a time, and which of their ends is that of the call. */
export abstract class Contest<Req, Res, One extends Copy = Copy> {
  protected readonly running = new Set<One>();
  protected latest: Call;
  protected over = false;
  /** The failure that counts if none of the copies that still run succeeds. */
  private held: Failure<One, Res> | undefined = undefined;

  constructor(
    protected readonly field: Field<Req, Res>,
    protected readonly call: Call,
    private readonly resolve: (response: Res) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    this.latest = call;
  }

  /** A copy succeeded, the first of the call to do so. */
  protected abstract succeeded(copy: One, response: Res): void;
  /** The call is over. */
  protected abstract ended(): void;

  /** A copy that runs is not wanted any more. */
  protected beaten({ source }: One): void {
    source.abort(this.lost());
  }

  /** What is said of a copy that is taken back because of another. */
  protected lost(): GovernanceError {
    const { service, side } = this.call;
    return refusal('CANCELLED', `${service}: another copy answered`, { service, side });
  }

  protected send(request: Req, copy: One): void {
    this.latest = copy.call;
    this.running.add(copy);
    invoke(this.field.next, request, copy.call)
      .then(
        (response) => this.answered(copy, response),
        (error: unknown) => this.rejected(copy, error),
      )
      // A protocol that throws is a bug, which the caller has to see.
      .catch((fault: unknown) =>
        this.failed({ copy, outcome: 'ignored', response: undefined, error: fault }),
      );
  }

  protected answered(copy: One, response: Res): void {
    const { protocol } = this.field;
    if (this.over) {
      discard(protocol, response);
      return;
    }
    this.running.delete(copy);
    const outcome = protocol.classify(response, undefined);
    if (outcome === 'success') this.succeeded(copy, response);
    else if (outcome !== 'ignored') {
      this.failed({ copy, outcome, response: { value: response }, error: undefined });
      return;
    }
    this.finish();
    this.deliver(copy, response);
  }

  protected rejected(copy: One, error: unknown): void {
    if (this.over) return;
    this.running.delete(copy);
    const { outcome } = verdictOf(error, copy.call, this.field.protocol);
    this.failed({ copy, outcome, response: undefined, error });
  }

  /** What says nothing of a callee (the caller's abort, a bad request) ends the contest; else the copies that run go on. */
  protected failed(failure: Failure<One, Res>): void {
    const result = this.moreTelling(failure);
    const wait = failure.outcome !== 'ignored' && this.running.size > 0;
    this.held = wait ? result : undefined;
    if (wait) return;
    this.finish();
    if (result.response !== undefined) {
      this.deliver(result.copy, result.response.value);
      return;
    }
    result.copy.source.dispose();
    this.reject(result.error);
  }

  /** Of two failures the later; but a refusal on this side tells less than any answer. */
  private moreTelling(failure: Failure<One, Res>): Failure<One, Res> {
    const { held } = this;
    if (held === undefined) return failure;
    const refused = failure.outcome === 'unsent';
    this.drop(refused ? failure : held);
    return refused ? held : failure;
  }

  private drop({ copy, response }: Failure<One, Res>): void {
    copy.source.dispose();
    if (response !== undefined) discard(this.field.protocol, response.value);
  }

  private finish(): void {
    this.over = true;
    this.ended();
    if (this.held !== undefined) this.drop(this.held);
    this.held = undefined;
    for (const copy of this.running) this.beaten(copy);
    this.running.clear();
  }

  /** The caller's abort has to reach the body as long as there is one. */
  private deliver(copy: One, response: Res): void {
    whenOver(this.field.protocol, response, () => copy.source.dispose());
    this.resolve(response);
  }
}
