/** Uniform in [0, 1). Policies take it as an option, so that a test or a simulation can repeat itself. */
export type Random = () => number;

/** `Math.random`, looked up at call time so that a stub of it is seen. */
export const systemRandom: Random = () => Math.random();
