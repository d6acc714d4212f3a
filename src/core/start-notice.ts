import type { Call } from './call.js';
import { type CallKey, callKey } from './values.js';

/**
 * Whom to tell that the handler of an inbound call starts. Server wires set it on calls whose sender wants to know;
 * most have none.
 */
export const startNotice = callKey<() => void>('keelson.startNotice');

/**
 * Whom to tell that an inbound call is the next to start, set where {@link startNotice} is. Who can take another copy of the
 * call back gains the time that the one before it takes.
 */
export const nextNotice = callKey<() => void>('keelson.nextNotice');

/** In its place once it was told. */
const told = (): void => undefined;

function tellOnce(call: Call, key: CallKey<() => void>): void {
  const tell = call.values.get(key);
  if (tell === undefined || tell === told) return;
  // First, so that one who is told and looks again finds it told.
  call.values.set(key, told);
  try {
    tell();
  } catch {
    // What is told must not cost the call.
  }
}

/**
 * Says that a call is the next to start. For queues that know before they start it; it may be said more than once, and
 * need not be said at all.
 */
export function noticeNext(call: Call): void {
  tellOnce(call, nextNotice);
}

/**
 * Says that the handler of a call starts now. For whoever starts it: a queue when the call's turn has come, or a wire
 * right before its handler where there is no queue. Only the first time counts, so both may say it. What is told must not
 * cost the call: whatever it throws is dropped.
 */
export function noticeStart(call: Call): void {
  tellOnce(call, startNotice);
}
