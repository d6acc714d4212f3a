import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.js';
import { type RateLimiter, rate } from '../limiter/rate.js';
import { addressOf, type Caller, callerOf } from './caller.js';
import type { ClusterIdentity } from './cluster-identity.js';
import { codes, Refused } from './refused.js';
import type { Tokens } from './tokens.js';

/** Who may do what. */
export interface AccessInit {
  /** Absent: everybody. */
  readonly tokens: Tokens | undefined;
  /** Whether reading takes no token. */
  readonly openReads: boolean;
  /** Of one client; `Infinity`: no bound. */
  readonly requestsPerSecond: number;
  readonly clock: Clock;
  readonly identity: ClusterIdentity;
}

/** Clients that are remembered at once. One that is forgotten starts afresh. */
const maxClients = 20_000;
/** Of the eight groups of an IPv6 address, those that name a network: one host of it can take any of its addresses. */
const networkGroups = 4;

/** What counts as one client. */
function clientOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 2 * networkGroups - before.length - after.length);
  return [...before, ...new Array<string>(zeros).fill('0'), ...after].slice(0, networkGroups).join(':');
}

/** Decides whether a request is looked at at all. */
export class Access {
  private readonly limiter: RateLimiter | undefined;

  constructor(private readonly init: AccessInit) {
    const { requestsPerSecond: perSecond } = init;
    if (Number.isFinite(perSecond)) this.limiter = rate({ perSecond, by: 'key', maxKeys: maxClients });
  }

  /**
   * @param writes - whether it would change something
   * @throws Refused when it comes too fast, or bears no token where it needs one
   */
  admit(request: IncomingMessage, writes: boolean): Caller {
    // Before the token is looked at: trying tokens is not to be faster than anything else.
    this.checkRate(addressOf(request.socket));
    const { tokens, openReads } = this.init;
    if (tokens === undefined) return callerOf(request, '');
    const name = tokens.nameOf(request.headers.authorization);
    if (name === undefined && (writes || !openReads))
      throw new Refused(codes.unauthorized, 'this registry needs a token: authorization: Bearer …', {
        status: 401,
      });
    return callerOf(request, name ?? '');
  }

  /**
   * @param caller - absent: the program that this registry is a part of
   * @throws Refused when it may not speak as a node of the cluster
   */
  admitNode(caller: Caller | undefined): void {
    if (caller === undefined || this.init.identity.includes(caller)) return;
    const wanted = 'this is for the nodes of the cluster: their token or certificate is needed';
    throw new Refused(codes.unauthorized, wanted, { status: 403 });
  }

  private checkRate(address: string): void {
    if (this.limiter === undefined) return;
    const { clock, requestsPerSecond } = this.init;
    if (this.limiter.tryAcquire(clock.now(), { key: clientOf(address) }) === null)
      throw new Refused(
        codes.limitExceeded,
        `this registry takes ${requestsPerSecond} requests a second of one client at most`,
      );
  }
}
