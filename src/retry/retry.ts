import { type Call, fork } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import { isGovernanceError } from '../core/errors.js';
import type { Middleware } from '../core/handler.js';
import { resolveOptions } from '../core/options.js';
import type { Outcome } from '../core/outcome.js';
import { checkProtocol, discard, type Protocol } from '../core/protocol.js';
import { type Random, systemRandom } from '../core/random.js';
import { direct, type Receiver, type Start, startOf } from '../core/receiver.js';
import { neverAgain, noteRetriableAbove, noteRetriedBelow } from '../core/retried-below.js';
import { wheelOf } from '../core/timer-wheel.js';
import { verdictOf } from '../core/verdict.js';
import { until } from './alarm.js';
import { fullJitter } from './backoff.js';
import { exhausted, type Resend, resend } from './resend.js';
import { budgetOf, type RetryBudget } from './retry-budget.js';

/** A try that failed, and that may be followed by another. */
export interface FailedTry<Res> {
  /** The call; `attempt` tells which try it was and where it went. */
  readonly call: Call;
  /** How it ended. */
  readonly outcome: Outcome;
  /** The response, if there was one. Its body is not for reading: it is about to be cancelled. */
  readonly response: Res | undefined;
  /** What was thrown, if there was no response. */
  readonly error: unknown;
}

/** Options of {@link retry}. */
export interface RetryOptions<Req, Res> {
  /** Tells how a try ended, whether a request can be sent again, and how to let go of a response. */
  readonly protocol: Protocol<Req, Res>;
  /**
   * Most tries of one call, the first included; a whole number, 1 to 10. A larger value helps while each try has a
   * fair chance, and makes callers wait longer while none has. 1 retries nothing.
   *
   * @defaultValue `2`
   */
  readonly attempts?: number | undefined;
  /**
   * Bounds the further tries of all calls together. Share it with `hedge`.
   *
   * @defaultValue a `retryBudget()` of its own
   */
  readonly budget?: RetryBudget | undefined;
  /**
   * Most that the wait before the second try can be, in milliseconds; 0 or more. The wait is anything between nothing
   * and this. A larger value spreads the retries of calls that failed together; 0 retries at once.
   *
   * @defaultValue `25`
   */
  readonly baseMs?: number | undefined;
  /**
   * Most that the wait before any try can be, in milliseconds; 0 or more. No effect with 2 attempts unless it is below
   * `baseMs`.
   *
   * @defaultValue `250`
   */
  readonly maxMs?: number | undefined;
  /**
   * By how much the bound of the wait grows from one try to the next; 1 to 10. No effect with 2 attempts.
   *
   * @defaultValue `2`
   */
  readonly factor?: number | undefined;
  /**
   * Longest wait that a callee may ask for (`Retry-After`), in milliseconds; 0 or more. A callee that asks for more is
   * not tried again: its answer is returned. A larger value makes callers wait where they could give up.
   *
   * @defaultValue `2000`
   */
  readonly maxRetryAfterMs?: number | undefined;
  /**
   * May forbid a try that would be made; cannot allow one that would not. Whatever is not `true`, a promise for
   * example, and what it throws count as `false`.
   *
   * @defaultValue always allowed
   */
  readonly when?: ((failed: FailedTry<Res>) => boolean) | undefined;
  /**
   * Told before each wait, with its length in milliseconds. What it throws, or rejects with, is dropped.
   *
   * @defaultValue none
   */
  readonly onRetry?: ((failed: FailedTry<Res>, waitMs: number) => void) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Draws the waits.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link RetryOptions}. */
export const retryDefaults = {
  attempts: 2,
  budget: undefined,
  baseMs: 25,
  maxMs: 250,
  factor: 2,
  maxRetryAfterMs: 2000,
  /** Forbids nothing. */
  when: () => true,
  /** Nobody is told. */
  onRetry: () => undefined,
  clock: systemClock,
  random: systemRandom,
} as const;

type Settings<Req, Res> = {
  readonly [Field in keyof RetryOptions<Req, Res>]-?: Exclude<RetryOptions<Req, Res>[Field], undefined>;
};

function settingsOf<Req, Res>(options: RetryOptions<Req, Res>): Settings<Req, Res> {
  type Open = Omit<Settings<Req, Res>, 'budget' | 'protocol'> & Pick<RetryOptions<Req, Res>, 'budget'>;
  const given = resolveOptions<Open & { protocol: Protocol<Req, Res> | undefined }>(
    'retry',
    { ...retryDefaults, protocol: undefined },
    options,
    {
      attempts: { min: 1, max: 10, integer: true },
      baseMs: { min: 0 },
      maxMs: { min: 0 },
      factor: { min: 1, max: 10 },
      maxRetryAfterMs: { min: 0 },
    },
  );
  return {
    ...given,
    protocol: checkProtocol('retry.protocol', given.protocol),
    budget: budgetOf('retry.budget', given.budget, given.clock.now()),
  };
}

/** Instead of a wait: there is no further try. */
const never = -1;

/** The tries of one call. Most make no second one. */
class Tries<Req, Res> implements Receiver<Res> {
  askedAt: number;
  private again: Resend<Req> | undefined = undefined;
  private made = 1;

  constructor(
    private readonly settings: Settings<Req, Res>,
    private readonly start: Start<Req, Res>,
    private readonly request: Req,
    private call: Call,
    private readonly outer: Receiver<Res>,
  ) {
    this.askedAt = outer.askedAt;
  }

  answered(response: Res, now?: number): void {
    const { protocol, budget } = this.settings;
    try {
      const outcome = protocol.classify(response, undefined);
      if (outcome !== 'success') {
        this.unsatisfied(response, outcome);
        return;
      }
      budget.deposit();
    } catch (fault) {
      this.outer.failed(fault);
      return;
    }
    this.outer.answered(response, now);
  }

  failed(error: unknown): void {
    try {
      if (this.repeatAfter(error)) return;
    } catch (fault) {
      this.outer.failed(fault);
      return;
    }
    this.outer.failed(error);
  }

  private unsatisfied(response: Res, outcome: Outcome): void {
    const { protocol } = this.settings;
    const failed = { call: this.call, outcome, response, error: undefined };
    const askedMs = protocol.feedback?.(response)?.retryAfterMs;
    const waitMs = this.wait(failed, askedMs);
    if (waitMs === never) {
      this.note(failed, askedMs);
      this.outer.answered(response);
      return;
    }
    discard(protocol, response);
    this.repeat(waitMs);
  }

  private repeatAfter(error: unknown): boolean {
    const { outcome, feedback } = verdictOf(error, this.call, this.settings.protocol);
    const refused = isGovernanceError(error) ? error : undefined;
    // Only the time of the one try ran out if the call still has some; see `wait`.
    const oneTry = refused?.code === 'DEADLINE_EXCEEDED' && refused.side === this.call.side;
    if (refused?.retryable === false && !oneTry) return false;
    const failed = { call: this.call, outcome, response: undefined, error };
    const askedMs = feedback?.retryAfterMs ?? refused?.retryAfterMs;
    const waitMs = this.wait(failed, askedMs);
    if (waitMs === never) {
      this.note(failed, askedMs);
      return false;
    }
    this.repeat(waitMs);
    return true;
  }

  /** Decides, cheapest question first; the budget comes last, so that only tries that are made cost any of it. */
  private wait(failed: FailedTry<Res>, askedMs = 0): number {
    const { settings, call } = this;
    if (this.made >= settings.attempts || call.cancel.aborted || !this.harmless(failed)) return never;
    if (!this.worthwhile(failed.outcome) || askedMs > settings.maxRetryAfterMs) return never;
    const backoffMs = fullJitter(settings, this.made, settings.random);
    const waitMs = askedMs > backoffMs ? askedMs : backoffMs;
    const now = settings.clock.now();
    if (now + waitMs >= call.deadline || !this.allowed(failed)) return never;
    this.again = resend(settings.protocol, this.request);
    if (this.again === undefined || !settings.budget.withdraw(now)) return never;
    try {
      const result: unknown = settings.onRetry(failed, waitMs);
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // A listener has no say in what becomes of the call.
    }
    return waitMs;
  }

  /**
   * There is no further try, and none is to be made by those who called this process: each tier that retried would multiply
   * what those below it send. Not of a call that nobody could have retried here.
   */
  private note(failed: FailedTry<Res>, askedMs: number | undefined): void {
    const { outcome, error } = failed;
    const refusedHere = outcome === 'unsent' && isGovernanceError(error);
    const failedThere = outcome === 'failure' || outcome === 'overload';
    if (refusedHere || (failedThere && (askedMs === neverAgain || this.retriable(failed))))
      noteRetriedBelow(this.settings.clock.now());
    // One that could be sent again above is what a failing answer is made of that follows it.
    else if (failedThere) noteRetriableAbove(this.outer.askedAt);
  }

  /** Whether it was sent again here, or would have been if there had been tries, time or budget left. */
  private retriable(failed: FailedTry<Res>): boolean {
    const { attempts, protocol } = this.settings;
    if (this.made > 1) return true;
    return attempts > 1 && this.harmless(failed) && resend(protocol, this.request) !== undefined;
  }

  /** Whether sending it again does no more than sending it once. */
  private harmless({ call, response }: FailedTry<Res>): boolean {
    if (call.idempotent) return true;
    return response !== undefined && this.settings.protocol.unseen?.(response) === true;
  }

  /** An endpoint that sheds load is left alone, so there has to be another. */
  private worthwhile(outcome: Outcome): boolean {
    if (outcome === 'failure') return true;
    const { attempt } = this.call;
    return outcome === 'overload' && attempt.endpoint !== undefined && !exhausted(attempt);
  }

  private allowed(failed: FailedTry<Res>): boolean {
    try {
      // A promise, which nobody here can wait for, is no permission.
      return this.settings.when(failed) === true;
    } catch {
      return false;
    }
  }

  private repeat(waitMs: number): void {
    const { clock } = this.settings;
    if (waitMs === 0) this.send();
    else
      until(clock.now() + waitMs, wheelOf(clock), this.call.cancel)
        .then(() => this.send())
        .catch((reason: unknown) => this.outer.failed(reason));
  }

  private send(): void {
    const { cancel } = this.call;
    if (cancel.aborted) {
      this.outer.failed(cancel.reason);
      return;
    }
    const { request } = this.again as Resend<Req>;
    this.made++;
    this.call = fork(this.call);
    this.askedAt = this.settings.clock.now();
    this.start(request, this.call, this);
  }
}

/**
 * Sends a call again, to another endpoint, when a try failed and sending it twice is safe.
 *
 * Use it once in a client, outside of what picks the endpoint. Not in every layer: tries multiply, and the budget bounds
 * each layer only by itself.
 *
 * A try is repeated if it failed by the callee's fault or was shed by it, the call is idempotent or the callee cannot have
 * seen it, the protocol can send the request again, and tries, time and budget are left. One that was shed is repeated
 * only if another endpoint is known. What was refused or cancelled on this side never is, except a try that only its own
 * timeout ended. A call that gets no further try ends with the last response or error, unchanged; responses before it are
 * discarded.
 *
 * There is a wait even before the first repetition, and after a refused connection as after a slow failure: the calls
 * that an endpoint had in flight when it died fail in one moment, and would hit the others in one.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const client = compose([retry({ protocol, attempts: 3 })], leaf);
 * ```
 *
 * Source: the order of questions follows gRPC's retry design (proposal A6); the avoidance of endpoints that were tried
 * is Envoy's previous-hosts predicate. Unlike both, nothing is retried that the wire did not declare idempotent.
 */
export function retry<Req, Res>(options: RetryOptions<Req, Res>): Middleware<Req, Res> {
  const settings = settingsOf(options);
  return (next) => {
    const start = startOf(next);
    return direct(
      (request, call, outer) => start(request, call, new Tries(settings, start, request, call, outer)),
      settings.clock,
    );
  };
}
