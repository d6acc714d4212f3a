import { type Clock, systemClock } from '../core/clock.js';
import { runWithoutCall } from '../core/current.js';
import { refusal } from '../core/errors.js';
import { resolveOptions } from '../core/options.js';
import { fetchKeys, type KeyFetch } from './fetch-keys.js';
import type { VerifyingKey } from './key.js';
import { type KeySet, type KeySource, keySetOf, type TokenHeader } from './key-source.js';
import { Pause } from './pause.js';

/** Options of {@link remoteJwks}. */
export interface RemoteJwksOptions {
  /**
   * What asks for the keys: a governed fetch, for instance.
   *
   * @defaultValue the `fetch` of the platform, looked up for each request
   */
  readonly fetch?: KeyFetch | undefined;
  /**
   * Age from which keys are asked for again, in the background, in milliseconds; above 0. A smaller value hears sooner of
   * keys that were taken back. New keys are heard of at the first token that is signed with one.
   *
   * @defaultValue `600_000`
   */
  readonly refreshMs?: number | undefined;
  /**
   * Least time between two requests for keys, in milliseconds; above 0. Tokens with made-up key ids cannot cause more. A
   * larger value refuses tokens of a new key for longer, if the keys were asked for just before it came.
   *
   * @defaultValue `30_000`
   */
  readonly cooldownMs?: number | undefined;
  /**
   * How long keys are used that cannot be asked for again, in milliseconds; not below `refreshMs`. A larger value survives
   * a longer outage of the issuer, and for as long trusts keys that it may have taken back.
   *
   * @defaultValue `86_400_000`
   */
  readonly maxStaleMs?: number | undefined;
  /**
   * How long one request may take, in milliseconds; above 0. Calls that need the keys wait for it.
   *
   * @defaultValue `5000`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Told of each request for keys that failed, with its cause. While older keys go on being used nothing else shows it. What
   * it throws is dropped.
   *
   * @defaultValue none
   */
  readonly onError?: ((error: unknown) => void) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link RemoteJwksOptions}. */
export const remoteJwksDefaults = {
  fetch: undefined,
  refreshMs: 600_000,
  cooldownMs: 30_000,
  maxStaleMs: 86_400_000,
  timeoutMs: 5000,
  /** Nobody is told. */
  onError: () => undefined,
  clock: systemClock,
} as const;

type Settings = Readonly<Record<'refreshMs' | 'cooldownMs' | 'maxStaleMs' | 'timeoutMs', number>> & {
  readonly fetch: KeyFetch | undefined;
  readonly onError: (error: unknown) => void;
  readonly clock: Clock;
};

/** Keys that were fetched. */
interface Fetched {
  readonly keys: KeySet;
  readonly at: number;
}

class RemoteJwks implements KeySource {
  readonly fixed = false;
  private fetched: Fetched | undefined;
  private pending: Promise<void> | undefined;
  private lastError: unknown;
  private readonly pause: Pause;

  constructor(
    private readonly url: string,
    private readonly settings: Settings,
  ) {
    this.pause = new Pause(settings.cooldownMs);
  }

  async find(header: TokenHeader): Promise<VerifyingKey> {
    const known = this.usable() ?? (await this.demand());
    try {
      return await known.keys(header);
    } catch (error) {
      if (!isUnknownKey(error)) throw error;
      const newer = await this.newerThan(known);
      if (newer === undefined) throw error;
      return newer.keys(header);
    }
  }

  /** What is there, if it may be used; asked for again in the background when it is old. */
  private usable(): Fetched | undefined {
    const { fetched } = this;
    if (fetched === undefined) return undefined;
    const { clock, refreshMs, maxStaleMs } = this.settings;
    const age = clock.now() - fetched.at;
    if (age >= refreshMs) void this.refresh();
    return age < maxStaleMs ? fetched : undefined;
  }

  private async demand(): Promise<Fetched> {
    await this.refresh();
    const usable = this.usable();
    if (usable === undefined) throw this.unavailable();
    return usable;
  }

  /** For a key that is not among those known: it may be new. */
  private async newerThan(known: Fetched): Promise<Fetched | undefined> {
    await this.refresh();
    if (this.fetched !== known) return this.fetched;
    // Whether the key exists cannot be told then, so it must not be said that it does not.
    if (this.pause.failing) throw this.unavailable();
    return undefined;
  }

  /** Asks for the keys unless that happened just now; never rejects. */
  private refresh(): Promise<void> | undefined {
    const { clock } = this.settings;
    if (this.pending !== undefined || !this.pause.over(clock.now())) return this.pending;
    this.pending = runWithoutCall(() => this.load());
    return this.pending;
  }

  private async load(): Promise<void> {
    const { settings, url, pause } = this;
    try {
      const keys = await keySetOf(await fetchKeys(url, settings));
      const at = settings.clock.now();
      this.fetched = { keys, at };
      pause.succeeded(at);
    } catch (error) {
      this.lastError = error;
      pause.failed(settings.clock.now());
      this.tell(error);
    } finally {
      this.pending = undefined;
    }
  }

  private tell(error: unknown): void {
    try {
      this.settings.onError(error);
    } catch {
      // Calls wait for the keys, and none for whoever reports.
    }
  }

  private unavailable(): Error {
    const retryAfterMs = this.pause.leftMs(this.settings.clock.now());
    const cause = this.lastError;
    return refusal('AUTH_UNAVAILABLE', 'the keys to verify tokens cannot be had', {
      cause,
      retryAfterMs,
      side: 'server',
    });
  }
}

function isUnknownKey(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ERR_JWKS_NO_MATCHING_KEY';
}

/**
 * The keys that an issuer publishes at a URL (JWKS), fetched when a token has to be verified, and kept.
 *
 * Use it instead of the plain URL in `jwt` to set these options, or to share the keys among several. One request serves all
 * calls that wait; old keys go on being used while new ones are fetched, and while that fails. A key id that is not known
 * leads to a request at most once in `cooldownMs`. Requests that fail are repeated after a second, later after more, up to
 * `cooldownMs`. Redirects are not followed, and more than a mebibyte is not read.
 *
 * @param url - https, or http inside of a network that is trusted: whoever can change the answer can sign tokens
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const jwks = remoteJwks('https://id.example/.well-known/jwks.json', { refreshMs: 60_000 });
 * ```
 *
 * Source: the timing is that of `createRemoteJWKSet` in `jose`, which has no stale keys: it fails calls when its keys are
 * old and the issuer is away, and asks again with each call.
 */
export function remoteJwks(url: string | URL, options?: RemoteJwksOptions): KeySource {
  const settings = resolveOptions<Settings>('remoteJwks', remoteJwksDefaults, options, {
    refreshMs: { above: 0 },
    cooldownMs: { above: 0 },
    maxStaleMs: { above: 0, infinite: true },
    timeoutMs: { above: 0 },
  });
  if (settings.maxStaleMs < settings.refreshMs)
    throw new RangeError(
      `remoteJwks.maxStaleMs must not be below refreshMs, got ${settings.maxStaleMs} and ${settings.refreshMs}`,
    );
  const { href, protocol } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:')
    throw new TypeError(`remoteJwks: the URL must begin with https: or http:, got ${href}`);
  if (settings.fetch !== undefined && typeof settings.fetch !== 'function')
    throw new TypeError(`remoteJwks.fetch must be a function, got ${String(settings.fetch)}`);
  return new RemoteJwks(href, settings);
}
