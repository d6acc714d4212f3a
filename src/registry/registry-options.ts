import { type Clock, systemClock } from '../core/clock.js';
import { resolveOptions } from '../core/options.js';
import type { RegistryEvent } from './engine.js';
import { type LifecycleOptions, lifecycleDefaults } from './lifecycle.js';
import type { RegistryLimitOptions } from './limits.js';

/** Options of {@link createRegistry}. */
export interface RegistryOptions extends LifecycleOptions {
  /**
   * Where to listen: `host:port`, `[ipv6]:port`, `:port` for every interface; port 0 for any free one. There is no
   * authentication: whoever reaches it can register.
   *
   * @defaultValue `'127.0.0.1:7171'`
   */
  readonly listen?: string | undefined;
  /**
   * Host or `host:port` under which clients reach it, when that is not where it listens.
   *
   * @defaultValue none: the address it listens on, a wildcard replaced by an address of this machine
   */
  readonly advertise?: string | undefined;
  /**
   * Its own region. Told to clients, changes nothing else.
   *
   * @defaultValue `'default'`
   */
  readonly region?: string | undefined;
  /**
   * Its own zone. Instances of all zones may register.
   *
   * @defaultValue `'default'`
   */
  readonly zone?: string | undefined;
  /**
   * Its own env. Instances of all envs may register, and every env finds the registry.
   *
   * @defaultValue `'default'`
   */
  readonly env?: string | undefined;
  /**
   * Longest wait of a poll; milliseconds, above 0. Clients give up after 40 s, so stay below. A larger value saves
   * requests, and changes nothing of how soon a change is told.
   *
   * @defaultValue `30_000`
   */
  readonly pollParkMs?: number | undefined;
  /**
   * Shortest time between two empty lists on one connection; milliseconds, 0 or more. It slows down clients that ask
   * for an empty list over and over. The first is told at once whatever the value.
   *
   * @defaultValue `1_000`
   */
  readonly emptyListGapMs?: number | undefined;
  /**
   * Time a client has to send a whole request, headers and body; milliseconds, 1 or more. A larger value lets slow
   * senders hold connections for longer.
   *
   * @defaultValue `15_000`
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * How long `close` waits for connections; milliseconds, 0 or more. What is left then is cut.
   *
   * @defaultValue `2_000`
   */
  readonly closeTimeoutMs?: number | undefined;
  /**
   * Bounds of what is kept and read.
   *
   * @defaultValue `{}`
   */
  readonly limits?: RegistryLimitOptions | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue the platform's clock
   */
  readonly clock?: Clock | undefined;
  /**
   * Told what happens, for a log. Renewals and reads are not told. What it throws is dropped.
   *
   * @defaultValue none
   */
  readonly onEvent?: ((event: RegistryEvent) => void) | undefined;
}

/** Defaults of {@link RegistryOptions}. */
export const registryDefaults = {
  ...lifecycleDefaults,
  listen: '127.0.0.1:7171',
  advertise: undefined as string | undefined,
  region: 'default',
  zone: 'default',
  env: 'default',
  pollParkMs: 30_000,
  emptyListGapMs: 1_000,
  requestTimeoutMs: 15_000,
  closeTimeoutMs: 2_000,
  limits: {} as RegistryLimitOptions,
  clock: systemClock,
  /** Nobody is told. */
  onEvent: undefined as ((event: RegistryEvent) => void) | undefined,
};

/** {@link RegistryOptions} with every one known. */
export type ResolvedRegistryOptions = Readonly<typeof registryDefaults>;

const texts = ['listen', 'region', 'zone', 'env', 'advertise'] as const;

/**
 * Lays given options over the defaults. Those of the lifecycle and the limits are checked by their own parts.
 *
 * @throws TypeError for an unknown option or a wrong type, RangeError for one out of range
 */
export function resolveRegistryOptions(given: RegistryOptions): ResolvedRegistryOptions {
  const options = resolveOptions('createRegistry', registryDefaults, given, {
    pollParkMs: { above: 0 },
    emptyListGapMs: { min: 0 },
    requestTimeoutMs: { min: 1, integer: true },
    closeTimeoutMs: { min: 0 },
  });
  for (const name of texts) {
    const value: unknown = options[name];
    if (value === undefined) continue;
    if (typeof value !== 'string') throw new TypeError(`createRegistry.${name} must be a string`);
    if (value === '') throw new RangeError(`createRegistry.${name} must not be empty`);
  }
  return options;
}
