/**
 * Why a figure falls short of its goal, and what was tried. By what `npm run bench:report` calls the goal, without which
 * it says that the reason is missing.
 *
 * @typedef {{ readonly why: string, readonly tried: string }} Shortfall
 */
/** @type {Readonly<Record<string, Shortfall>>} */
export const shortfalls = {};
