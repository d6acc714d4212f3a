/** @typedef {import('./play.mjs').Callee} Callee */

/** How long it takes to learn that a callee is down: its connection is refused, or it answers 500 at once. */
const failMs = 2;
const shedMs = 1;

/** Fails such a share of the calls. @param {number} ratio @returns {Callee} */
export const flaky =
  (ratio) =>
  (_now, { luck, workMs }) =>
    luck < ratio ? { outcome: 'failure', tookMs: failMs } : { outcome: 'success', tookMs: workMs };

/** Fails everything at once. @type {Callee} */
export const dead = () => ({ outcome: 'failure', tookMs: failMs });

/** Answers nothing: calls end by their timeout. @param {number} timeoutMs @returns {Callee} */
export const hanging = (timeoutMs) => () => ({
  outcome: 'failure',
  tookMs: timeoutMs,
  feedback: { timedOut: true },
});

/** Turns everything away. @type {Callee} */
export const shedding = () => ({ outcome: 'overload', tookMs: shedMs });

/**
 * Does so many calls a second, lets a few wait, and turns the others away.
 *
 * @param {number} perSecond @param {{ tells?: boolean, overloaded?: boolean, fails?: boolean }} [how] whether answers tell
 * what share is let in, over the last second; whether refusals tell that all its callers are too many; whether it calls its
 * refusals failures
 * @returns {Callee}
 */
export function limited(perSecond, { tells = false, overloaded = false, fails = false } = {}) {
  const places = Math.max(4, 0.05 * perSecond);
  const each = 1000 / perSecond;
  const memoryMs = 1000;
  let freeAt = 0;
  let asked = 0;
  let admitted = 0;
  let lookedAt = 0;
  return (now, { workMs }) => {
    const kept = Math.exp((lookedAt - now) / memoryMs);
    lookedAt = now;
    freeAt = Math.max(freeAt, now);
    const full = freeAt - now > places * each;
    asked = asked * kept + 1;
    admitted = admitted * kept + (full ? 0 : 1);
    const ratio = admitted / asked;
    const told = tells && ratio < 0.999 ? { feedback: { load: { admitRatio: ratio } } } : undefined;
    if (full && overloaded) return { outcome: 'overload', tookMs: shedMs, feedback: { overloaded } };
    if (full) return { outcome: fails ? 'failure' : 'overload', tookMs: shedMs, ...told };
    freeAt += each;
    return { outcome: 'success', tookMs: freeAt - now + workMs, ...told };
  };
}

/** Sheds such a share of whatever it gets: others send it that much. @param {number} ratio @returns {Callee} */
export const flooded =
  (ratio) =>
  (_now, { luck, workMs }) =>
    luck < ratio ? { outcome: 'overload', tookMs: shedMs } : { outcome: 'success', tookMs: workMs };

/** One callee after the other. @param {readonly (readonly [untilMs: number, callee: Callee])[]} phases @returns {Callee} */
export const inTurn = (phases) => (now, fate) => {
  const [, callee] = phases.find(([until]) => now < until) ?? /** @type {const} */ ([0, dead]);
  return callee(now, fate);
};
