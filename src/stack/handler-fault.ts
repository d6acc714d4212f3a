import type { Call } from '../core/call.js';
import { isGovernanceError } from '../core/errors.js';
import { callKey } from '../core/values.js';
import type { AppEvents } from './app-events.js';

/** What streams and sockets throw once the other side has gone. */
const ofLostConnection: ReadonlySet<unknown> = new Set([
  'ABORT_ERR',
  'ECONNABORTED',
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_UNABLE_TO_PIPE',
  'ERR_HTTP2_INVALID_STREAM',
]);

/**
 * A refusal is no fault, unless it is of what this process itself would have sent; and neither is what follows from a call
 * that was given up.
 */
function isFault(error: unknown, { cancel }: Call): boolean {
  if (isGovernanceError(error)) return error.httpStatus === 500;
  if (!cancel.aborted) return true;
  const { name, code } = (typeof error === 'object' && error !== null ? error : {}) as NodeJS.ErrnoException;
  return error !== cancel.reason && name !== 'AbortError' && !ofLostConnection.has(code);
}

/** Boxed: `undefined` can be thrown too. */
const toldKey = callKey<{ readonly error: unknown }>('keelson.toldFault');

/** Whom the faults of handlers are told. */
export interface FaultReport {
  readonly events: AppEvents;
  /** The user's own. */
  readonly onError: ((error: unknown, call: Call) => void) | undefined;
}

/** Makes what is told of every error of a handler, of some twice, and passes on those that are faults, once. */
export function faultTeller({ events, onError }: FaultReport): (error: unknown, call: Call) => void {
  return (error, call) => {
    const told = call.values.get(toldKey);
    if (!isFault(error, call) || (told !== undefined && told.error === error)) return;
    call.values.set(toldKey, { error });
    const event = { where: `handler of ${call.operation}`, error };
    if (onError === undefined) {
      events.emit('fault', event);
      return;
    }
    events.emitReported(event);
    try {
      onError(error, call);
    } catch (fault) {
      events.emit('fault', { where: 'onError', error: fault });
    }
  };
}
