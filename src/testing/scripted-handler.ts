import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { Handler } from '../core/handler.js';

/** What a {@link ScriptedHandler} does with one call. With neither `answer` nor `error` it hangs until it is cancelled. */
export interface ScriptStep<Req, Res> {
  /**
   * How long it takes, in milliseconds; 0 or more. 0 answers as soon as promises run.
   *
   * @defaultValue `0`
   */
  readonly afterMs?: number | undefined;
  /** What it resolves with. A function is asked when the time has come. */
  readonly answer?: Res | ((request: Req, call: Call) => Res) | undefined;
  /** What it rejects with. */
  readonly error?: unknown;
  /**
   * Whether `error` is thrown at once instead, against the contract of handlers, as code of others may do.
   *
   * @defaultValue `false`
   */
  readonly throws?: boolean | undefined;
  /**
   * Whether it goes on although its call is cancelled, as code of others may do.
   *
   * @defaultValue `false`
   */
  readonly deaf?: boolean | undefined;
}

/** One call that a {@link ScriptedHandler} was given. */
export interface ScriptedCall<Req> {
  /** What was asked. */
  readonly request: Req;
  /** With which call. */
  readonly call: Call;
  /** When, on the handler's clock. */
  readonly at: number;
}

/** A handler that does what a test wrote down. */
export interface ScriptedHandler<Req, Res> {
  /** To be put where the real one would be. */
  readonly handler: Handler<Req, Res>;
  /** What it was given, oldest first. */
  readonly calls: readonly ScriptedCall<Req>[];
  /** How many calls have not ended. */
  readonly inflight: number;
  /** Adds steps at the end of the script. */
  push(...steps: readonly ScriptStep<Req, Res>[]): void;
}

/** Options of {@link scriptedHandler}. */
export interface ScriptedHandlerOptions<Req, Res> {
  /** One step for each call, in order; the last is repeated. */
  readonly script: readonly ScriptStep<Req, Res>[];
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

class Scripted<Req, Res> implements ScriptedHandler<Req, Res> {
  readonly calls: ScriptedCall<Req>[] = [];
  inflight = 0;
  private readonly script: ScriptStep<Req, Res>[];

  constructor(
    script: readonly ScriptStep<Req, Res>[],
    private readonly clock: Clock,
  ) {
    this.script = [...script];
  }

  push(...steps: readonly ScriptStep<Req, Res>[]): void {
    this.script.push(...steps);
  }

  readonly handler: Handler<Req, Res> = (request, call) => {
    const step = this.script[Math.min(this.calls.length, this.script.length - 1)];
    this.calls.push({ request, call, at: this.clock.now() });
    if (step?.throws) throw step.error;
    this.inflight++;
    return this.play(step ?? {}, request, call).finally(() => {
      this.inflight--;
    });
  };

  private play(step: ScriptStep<Req, Res>, request: Req, call: Call): Promise<Res> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        forget();
        if ('error' in step) reject(step.error);
        else if (typeof step.answer !== 'function') resolve(step.answer as Res);
        else {
          try {
            resolve((step.answer as (request: Req, call: Call) => Res)(request, call));
          } catch (error) {
            reject(error);
          }
        }
      };
      let forget: () => void = () => undefined;
      const { afterMs = 0 } = step;
      const hangs = !('error' in step || 'answer' in step);
      const timer = hangs || afterMs === 0 ? undefined : this.clock.after(afterMs, finish);
      if (!step.deaf) {
        forget = call.cancel.onAbort(() => {
          timer?.cancel();
          reject(call.cancel.reason);
        });
      }
      if (!hangs && timer === undefined) queueMicrotask(finish);
    });
  }
}

/**
 * Makes a handler that answers by script and writes down what it was given: the callee in a test of a client's policies,
 * or of middlewares of your own.
 *
 * @param options - the script, and a clock for steps that take time
 * @throws TypeError without a step
 * @example
 * ```ts
 * const clock = manualClock();
 * const users = scriptedHandler({ script: [{ error: new Error('reset') }, { answer: 'Ada', afterMs: 20 }], clock });
 * const handler = compose([retry({ protocol, clock })], users.handler);
 * ```
 */
export function scriptedHandler<Req, Res>(
  options: ScriptedHandlerOptions<Req, Res>,
): ScriptedHandler<Req, Res> {
  const { script, clock = systemClock } = options;
  if (!Array.isArray(script) || script.length === 0)
    throw new TypeError('scriptedHandler.script must have at least one step');
  return new Scripted(script, clock);
}
