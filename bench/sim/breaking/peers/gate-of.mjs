/** @typedef {import('keelson/core').Gate} Gate */
/** @typedef {import('keelson/core').Outcome} Outcome */

/**
 * What a peer decides by.
 *
 * @typedef {object} Law
 * @property {(now: number) => boolean} admit whether a call passes
 * @property {(now: number, succeeded: boolean) => void} ended of a call that passed
 */

/** A peer as a gate. None of them knows more of an outcome than whether it is a success. @param {Law} law @returns {Gate} */
export const gateOf = (law) => ({
  code: 'BREAKER_OPEN',
  tryAcquire: (now) => {
    if (!law.admit(now)) return null;
    return {
      observe: () => undefined,
      release: (outcome, at) => {
        if (outcome !== 'ignored' && outcome !== 'unsent') law.ended(at, outcome === 'success');
      },
    };
  },
});
