/** @typedef {import('./call.mjs').Call} Call */

/**
 * Clients with a throttle each: a gate, which may keep a call from being sent and learns from answers, refusals and
 * silence, and from the share of calls that the server says it lets in.
 *
 * @param {{ count: number, make: (index: number) => import('keelson/core').Gate }} clients
 * @param {{ random: import('../engine/streams.mjs').Random, world: import('../engine/world.mjs').World,
 *   admission: import('./call.mjs').Admission, deadlineMs: number }} home
 * @returns {(call: Call, now: number) => boolean} whether it is sent
 */
export function clientsOf({ count, make }, { random, world, admission, deadlineMs }) {
  const gates = Array.from({ length: count }, (_, index) => make(index));
  return (call, now) => {
    const permit = gates[Math.floor(random() * count)]?.tryAcquire(now, call) ?? null;
    if (permit === null) return false;
    call.whenOver = (outcome, at) => {
      const admitRatio = admission.admitRatio?.(at);
      permit.release(outcome, at, admitRatio === undefined ? undefined : { load: { admitRatio } });
    };
    // A second release does nothing, so an answer that comes later does no harm.
    world.after(deadlineMs, (at) => permit.release('failure', at, { timedOut: true }));
    return true;
  };
}
