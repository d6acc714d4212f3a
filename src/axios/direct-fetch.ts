import { follow } from '../http/follow.js';
import { isRedirect } from '../http/redirect.js';
import { ungoverned } from '../http/ungoverned.js';

type Fetch = typeof globalThis.fetch;

/**
 * Follows redirects by hand: to the same origin as they are, to another without our headers and the caller's credentials.
 * Fetch itself would send all but the latter along.
 */
function direct(current: () => Fetch): Fetch {
  return async (input, init) => {
    const fetch = ungoverned(current());
    // Without a Request there is nothing to read the mode from; axios has made one since it has had this adapter.
    if (typeof input === 'string' || input instanceof URL || input.redirect !== 'follow')
      return fetch(input, init);
    const { method, headers, signal, body, url } = input;
    const first = await fetch(input, { ...init, redirect: 'manual' });
    if (!isRedirect(first)) return first;
    const { origin, pathname, search } = new URL(url);
    const request = { method, path: pathname + search, init: { ...init, headers, body } };
    return follow(first, request, {
      service: '',
      fetch,
      signal,
      send: (next) =>
        fetch(origin + next.path, { ...next.init, method: next.method, signal, redirect: 'manual' }),
    });
  };
}

/** For a config without a fetch of its own. */
const platform = direct(() => globalThis.fetch);

/** Axios keeps what it has made of each fetch for ever, so there may be only one of ours for each. */
const made = new WeakMap<Fetch, Fetch>();

/**
 * What the `fetch` adapter is to send an attempt with: below whatever governs, for the attempt is governed already.
 *
 * @param given - `env.fetch` of the config; otherwise the platform's, looked up at each request
 */
export function directFetch(given: unknown): Fetch {
  if (typeof given !== 'function') return platform;
  const fetch = given as Fetch;
  let ours = made.get(fetch);
  if (ours === undefined) {
    ours = direct(() => fetch);
    made.set(fetch, ours);
  }
  return ours;
}
