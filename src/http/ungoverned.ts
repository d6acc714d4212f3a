import type { GovernedFetch } from './call-options.js';

type Fetch = typeof globalThis.fetch;

// Shared by all copies of the package.
const key: unique symbol = Symbol.for('keelson.ungoverned.v1');

interface Governed {
  /** What sends without governing; looked up when it is needed, for the platform's may be replaced at any time. */
  readonly [key]?: () => Fetch | GovernedFetch;
}

/** Wrapping what one has wrapped is a handful deep at most; more is a loop. */
const deepest = 8;

/** Notes on a fetch that governs what it is made on. */
export function governing(fetch: GovernedFetch, below: () => Fetch | GovernedFetch): GovernedFetch {
  return Object.defineProperty(fetch, key, { value: below });
}

/**
 * The fetch below all governing ones: for whoever sends what is governed already, and would else be governed a second
 * time where an address is also the name of a service.
 */
export function ungoverned(fetch: Fetch | GovernedFetch): Fetch {
  let at = fetch;
  for (let depth = 0; depth < deepest; depth++) {
    const below = (at as Governed)[key];
    if (below === undefined) break;
    at = below();
  }
  return at as Fetch;
}
