/**
 * What a server answers at most when it is offered `load` times what it can, in parts of what it can without refusing
 * anybody, if every call costs it reading, and each call that it does not answer refusing, and nothing else.
 *
 * A call that is answered takes `serveMs + parseMs`, and that is the unit; with `a` of them answered per unit of time
 * `a (S + P) + (X - a) (P + R) = S + P`. Never more than what is offered, never less than nothing.
 *
 * @param {number} load
 * @param {{ serveMs: number, parseMs: number, rejectMs: number }} costs
 */
export function physicalLimit(load, { serveMs, parseMs, rejectMs }) {
  const left = serveMs + parseMs - load * (parseMs + rejectMs);
  return Math.max(0, Math.min(load, left / (serveMs - rejectMs)));
}

/**
 * Share of the calls that a server with room for `places`, the one being served included, must turn away if they come
 * at random and take random (exponential) times: M/M/1/K.
 *
 * @param {number} load below, at or above 1
 * @param {number} places
 */
export function erlangLoss(load, places) {
  if (load === 1) return 1 / (places + 1);
  return ((1 - load) * load ** places) / (1 - load ** (places + 1));
}
