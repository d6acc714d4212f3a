import type { Clock } from '../core/clock.js';
import { within } from './within.js';

/** What is used of `fetch`. */
export type KeyFetch = (
  url: string,
  init: {
    readonly signal: AbortSignal;
    readonly headers: Record<string, string>;
    readonly redirect: 'error';
  },
) => Promise<Response>;

/** How keys are asked for. */
export interface FetchKeysSettings {
  /** The platform's if `undefined`. */
  readonly fetch: KeyFetch | undefined;
  /** How long it may take. */
  readonly timeoutMs: number;
  /** Tells the time and waits. */
  readonly clock: Clock;
}

/** Sets of keys have some kilobytes; an endless answer must not fill the memory. */
const mostBytes = 1_048_576;

async function textOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return response.text();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    bytes += part.value.byteLength;
    if (bytes > mostBytes) {
      await reader.cancel();
      throw new Error(`more than ${mostBytes} bytes of keys`);
    }
    text += decoder.decode(part.value, { stream: true });
  }
  return text + decoder.decode();
}

async function ask(url: string, fetch: KeyFetch, signal: AbortSignal): Promise<unknown> {
  const headers = { accept: 'application/json, application/jwk-set+json' };
  const response = await fetch(url, { signal, headers, redirect: 'error' });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${url} answered ${response.status}`);
  }
  return JSON.parse(await textOf(response));
}

/**
 * Fetches a set of keys.
 *
 * @throws (as a rejection) whatever goes wrong
 */
export async function fetchKeys(
  url: string,
  { fetch, timeoutMs, clock }: FetchKeysSettings,
): Promise<unknown> {
  const controller = new AbortController();
  try {
    const asking = ask(url, fetch ?? (globalThis.fetch as unknown as KeyFetch), controller.signal);
    return await within(asking, timeoutMs, clock);
  } finally {
    controller.abort();
  }
}
