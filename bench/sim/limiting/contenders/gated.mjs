/**
 * A gate as a middleware asks it: when a request has been read, before its handler.
 *
 * @param {import('keelson/core').Gate} gate
 * @returns {import('../call.mjs').Admission}
 */
export const gated = (gate) => ({
  arrive(call, now) {
    call.mark = gate.tryAcquire(now, call);
    return call.mark === null ? 'refuse' : 'run';
  },
  ended(call, now) {
    call.mark.release('success', now);
  },
});
