import type { Call } from './call.js';
import type { Clock } from './clock.js';
import { type Handler, invoke } from './handler.js';

/**
 * Whom the end of a call is told, once: what a layer is to the one inside of it where there is no promise between them.
 * Neither method may throw: nobody would hear of it.
 */
export interface Receiver<in Res> {
  /** When the call was handed on, so that those inside need not look at the clock again; milliseconds on its scale. */
  readonly askedAt: number;
  /**
   * There is a response.
   *
   * @param now - when it came, of whoever has just looked: reading the clock costs more than passing a call on
   */
  answered(response: Res, now?: number): void;
  /** There is none. */
  failed(error: unknown): void;
}

/** Runs a call and tells its receiver how it ended, maybe before it returns. Never throws. */
export type Start<in Req, out Res> = (request: Req, call: Call, receiver: Receiver<Res>) => void;

// By identity, not as a property: who makes something of a handler, a proxy or a copy with all that is on it, wants to be
// called. Handlers of another copy of the package are run by their promises too.
const starts = new WeakMap<Handler<never, unknown>, Start<never, unknown>>();

/** Follows a promise to its end. */
export function follow<Res>(running: Promise<Res>, receiver: Receiver<Res>): void {
  running.then(
    (response) => receiver.answered(response),
    (error: unknown) => receiver.failed(error),
  );
}

/** How to run a handler for a receiver: its own way if it has one, else by its promise. To be asked once, not per call. */
export function startOf<Req, Res>(handler: Handler<Req, Res>): Start<Req, Res> {
  return (
    (starts.get(handler) as Start<Req, Res> | undefined) ??
    ((request, call, receiver) => follow(invoke(handler, request, call), receiver))
  );
}

class Settler<Res> implements Receiver<Res> {
  constructor(
    readonly askedAt: number,
    readonly answered: (response: Res) => void,
    readonly failed: (error: unknown) => void,
  ) {}
}

/**
 * Makes a handler of what runs calls for receivers. Layers of that kind which follow each other directly share one
 * promise, which on Node 20 costs more than all that they do.
 */
export function direct<Req, Res>(start: Start<Req, Res>, clock: Clock): Handler<Req, Res> {
  const handler: Handler<Req, Res> = (request, call) =>
    new Promise((resolve, reject) => start(request, call, new Settler(clock.now(), resolve, reject)));
  starts.set(handler, start);
  return handler;
}

/**
 * Makes a handler that does something to a call before it hands it on, and has no part in how it ends. It runs as what it
 * hands on to does, by promise or for a receiver, and adds no promise to either.
 *
 * @param step - the call to hand on, this one or a changed one; what it throws is how the call ends
 */
export function handOn<Req, Res>(next: Handler<Req, Res>, step: (call: Call) => Call): Handler<Req, Res> {
  const handler: Handler<Req, Res> = (request, call) => {
    let changed: Call;
    try {
      changed = step(call);
    } catch (fault) {
      return Promise.reject(fault);
    }
    return next(request, changed);
  };
  const start = starts.get(next) as Start<Req, Res> | undefined;
  if (start === undefined) return handler;
  const handing: Start<Req, Res> = (request, call, receiver) => {
    let changed: Call;
    try {
      changed = step(call);
    } catch (fault) {
      receiver.failed(fault);
      return;
    }
    start(request, changed, receiver);
  };
  starts.set(handler, handing);
  return handler;
}
