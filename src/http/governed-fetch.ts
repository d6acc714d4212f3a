import { resolveOptions, wrongKind } from '../core/options.js';
import type { GovernedFetch } from './call-options.js';
import { governing } from './ungoverned.js';

/** Options of {@link governedFetch}. */
export interface GovernedFetchOptions {
  /** The governed client of each service, by the host in the URLs that are meant for it. */
  readonly services: Readonly<Record<string, GovernedFetch>>;
}

interface Settings {
  readonly services: GovernedFetchOptions['services'] | undefined;
}

function hostOf(input: string | URL | Request): string | undefined {
  const url = typeof input === 'object' && 'url' in input ? input.url : String(input);
  return URL.canParse(url) ? new URL(url).host : undefined;
}

/**
 * Puts governed clients behind one `fetch`, for code that takes a fetch and calls more than one host with it.
 *
 * URLs of listed hosts go to their clients. All others pass untouched, without any header of ours: a third party has no
 * part in our traces and deadlines.
 *
 * @param fetch - for everything that is not listed
 * @throws TypeError when a service's client is no function
 * @example
 * ```ts
 * const fetch = governedFetch(globalThis.fetch, { services: { users: app.fetch('users') } });
 * await fetch('http://users/users/42');
 * ```
 */
export function governedFetch(fetch: GovernedFetch, options: GovernedFetchOptions): GovernedFetch {
  if (typeof fetch !== 'function') throw wrongKind('governedFetch: the first argument', 'a fetch', fetch);
  const { services } = resolveOptions<Settings>('governedFetch', { services: undefined }, options);
  if (typeof services !== 'object' || services === null)
    throw wrongKind('governedFetch.services', 'an object of governed fetches by host', services);
  const clients = new Map<string, GovernedFetch>();
  for (const [host, client] of Object.entries(services)) {
    if (typeof client !== 'function')
      throw wrongKind(`governedFetch.services.${host}`, 'a function, as app.fetch() makes it', client);
    clients.set(host.toLowerCase(), client);
  }
  const called: GovernedFetch = (input, init) => {
    const host = hostOf(input);
    const client = host === undefined ? undefined : clients.get(host);
    return (client ?? fetch)(input, init);
  };
  return governing(called, () => fetch);
}
