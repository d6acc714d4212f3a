/** @typedef {() => number} Random uniform in [0, 1) */

/** FNV-1a. @param {string} text */
function hash(text) {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/**
 * Independent random numbers by name. Each thing that is drawn has its own stream, so that two policies meet the same
 * arrivals, jobs, pauses and crashes however many numbers they draw themselves (common random numbers): what differs
 * between two runs of one seed is the policy.
 *
 * Source: sfc32 by Chris Doty-Humphrey (PractRand), public domain.
 *
 * @param {number} seed
 * @returns {(name: string) => Random}
 */
export function streams(seed) {
  return (name) => {
    let a = hash(`${name}/a`) ^ seed;
    let b = hash(`${name}/b`) ^ Math.imul(seed, 0x9e3779b1);
    let c = hash(`${name}/c`);
    let counter = 1;
    const next = () => {
      const sum = (((a + b) | 0) + counter) | 0;
      counter = (counter + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + sum) | 0;
      return (sum >>> 0) / 4294967296;
    };
    for (let i = 0; i < 16; i++) next();
    return next;
  };
}

/** @param {Random} random @param {number} mean @returns {number} of an exponential distribution */
export const exponential = (random, mean) => -mean * Math.log(1 - random());

/** @param {Random} random @returns {number} of the standard normal distribution, by Box and Muller */
export const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/**
 * @param {Random} random @param {number} mean of the distribution itself, not of its logarithm
 * @param {number} sigma standard deviation of the logarithm
 */
export const lognormal = (random, mean, sigma) =>
  mean * Math.exp(sigma * normal(random) - (sigma * sigma) / 2);
