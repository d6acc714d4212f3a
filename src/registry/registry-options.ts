import { type Clock, systemClock } from '../core/clock.js';
import { resolveOptions } from '../core/options.js';
import type { RegistryTransport } from '../discovery/transport.js';
import { type LifecycleOptions, lifecycleDefaults } from './lifecycle.js';
import type { RegistryLimitOptions } from './limits.js';
import type { RegistryEvent } from './registry-event.js';
import type { RegistryTlsOptions } from './tls-files.js';
import type { RegistryTokens } from './tokens.js';

/** Options of {@link createRegistry}. */
export interface RegistryOptions extends LifecycleOptions {
  /**
   * Where to listen: `host:port`, `[ipv6]:port`, `:port` for every interface; port 0 for any free one. Without
   * `token` or `tls.ca` whoever reaches it can register.
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
   * The other nodes of its cluster: `host:port` in the own zone, `zone=host:port` in another. It may be among them
   * itself, so that all nodes are given the same list. They may be nodes of the original; those that register as
   * `infra.discovery` are followed besides, and only those that are given are tried for ever. All need the same env. An
   * empty list: others may join, unless a token is wanted.
   *
   * @defaultValue none: a node alone
   */
  readonly peers?: readonly string[] | undefined;
  /**
   * How long the answer to a register, cancel or set waits until peers know of it; milliseconds, 0 or more. Peers that
   * do not answer are not waited for. A larger value lets who writes to one node and reads from the next see it more
   * often, and lets slow peers delay writes for longer. Without effect without `peers`.
   *
   * @defaultValue `500`
   */
  readonly replyWaitMs?: number | undefined;
  /**
   * Between two comparisons with each peer, by which whatever was lost is made good; milliseconds, above 0. A larger
   * value saves a request of 4 KB for each, and heals later. Without effect without `peers`.
   *
   * @defaultValue `15_000`
   */
  readonly compareIntervalMs?: number | undefined;
  /**
   * How long a node that starts answers reads with -500 while no peer has told it what is registered; milliseconds, 0
   * or more. Less when all peers answer that they have just started, or do not run. Without effect without `peers`.
   *
   * @defaultValue `10_000`
   */
  readonly syncTimeoutMs?: number | undefined;
  /**
   * How long a peer may take for an answer; milliseconds, above 0. Without effect without `peers`.
   *
   * @defaultValue `3_000`
   */
  readonly peerTimeoutMs?: number | undefined;
  /**
   * Carries requests to peers. Without effect without `peers`.
   *
   * @defaultValue HTTP/1.1 on kept connections
   */
  readonly transport?: RegistryTransport | undefined;
  /**
   * What requests must bear as `authorization: Bearer …`, 16 characters or more: one token, or several by the names that
   * the log gives them, of which each is taken, so that they can be changed one after the other. Names are not empty, nor
   * of digits alone. With a token only the `peers` that are given are followed: all nodes need the list of all. Nodes of
   * the original show none, and cannot be peers.
   *
   * @defaultValue none: whoever reaches it may read and write
   */
  readonly token?: RegistryTokens | undefined;
  /**
   * Names of the tokens by which the nodes of a cluster know each other: who shows one of them may speak as a node, and
   * this one shows the first of them to its `peers`. To change it node by node without a gap: first all take the new one
   * (`['old', 'new']`), then all show it (`['new', 'old']`), then the old one goes. What is named must be in `token`,
   * where one without a name is called `default`.
   *
   * @defaultValue none: the first of `token`
   */
  readonly nodeTokens?: readonly string[] | undefined;
  /**
   * Whether reading takes no token. Without effect without `token`.
   *
   * @defaultValue `false`
   */
  readonly openReads?: boolean | undefined;
  /**
   * Files with certificates: with them it speaks TLS alone, to peers as well. Within ten seconds of a change they are
   * read again; what cannot be used is told, and the last good ones stay.
   *
   * @defaultValue none: it speaks plain HTTP
   */
  readonly tls?: RegistryTlsOptions | undefined;
  /**
   * Path of a folder with zone schedulers, `*.json`: `{"app_id", "env", "clients": {zone: {"zones": {zone: {"weight"}}}},
   * "remark"}`. Clients are told them with the list of their app, and anew within two seconds of a change. A file that
   * cannot be read keeps what it last said.
   *
   * @defaultValue none
   */
  readonly schedulers?: string | undefined;
  /**
   * Path of a file that keeps the last list over a restart: read before it listens, written a moment after each change.
   * What was known from it is listed, protected until it expires, and told to no peer before it is heard of again; at
   * the start it goes once a peer has told what is registered that did not itself start a moment ago. Instances older
   * than `maxExpiryMs` are left out. The folder must exist.
   *
   * @defaultValue none: a node that restarts begins empty
   */
  readonly snapshot?: string | undefined;
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
  peers: undefined as readonly string[] | undefined,
  replyWaitMs: 500,
  compareIntervalMs: 15_000,
  syncTimeoutMs: 10_000,
  peerTimeoutMs: 3_000,
  transport: undefined as RegistryTransport | undefined,
  token: undefined as RegistryTokens | undefined,
  nodeTokens: undefined as readonly string[] | undefined,
  openReads: false,
  tls: undefined as RegistryTlsOptions | undefined,
  schedulers: undefined as string | undefined,
  snapshot: undefined as string | undefined,
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

const lists = ['peers', 'nodeTokens'] as const;
const texts = ['listen', 'region', 'zone', 'env', 'advertise', 'snapshot', 'schedulers'] as const;

/**
 * Lays given options over the defaults. Those of the lifecycle and the limits are checked by their own parts.
 *
 * @throws TypeError for an unknown option or a wrong type, RangeError for one out of range
 */
export function resolveRegistryOptions(given: RegistryOptions): ResolvedRegistryOptions {
  const options = resolveOptions('createRegistry', registryDefaults, given, {
    replyWaitMs: { min: 0 },
    compareIntervalMs: { above: 0 },
    syncTimeoutMs: { min: 0 },
    peerTimeoutMs: { above: 0 },
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
  for (const name of lists) {
    const value: unknown = options[name];
    if (value !== undefined && !(Array.isArray(value) && value.every((one) => typeof one === 'string')))
      throw new TypeError(`createRegistry.${name} must be a list of strings`);
  }
  return options;
}
