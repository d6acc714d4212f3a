import { decoded, encoded, rangeOf } from './etcd-keys.js';
import { type HttpReply, httpFailure } from './http-failure.js';
import type { HttpNodes } from './http-nodes.js';
import { RegistryRefusal } from './refusal.js';

/** How a call is to be made. */
export interface EtcdHow {
  readonly timeoutMs?: number | undefined;
  readonly holdsProcess?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A key with its value. */
export interface EtcdEntry {
  readonly key: string;
  readonly value: string;
  /** Lease that it hangs on; `0` for none. */
  readonly lease: string;
}

/** What a range of keys holds. */
export interface EtcdRange {
  /** Of the whole store, when it was read. */
  readonly revision: bigint;
  readonly entries: readonly EtcdEntry[];
  /** How many keys there are, were they asked for or not. */
  readonly count: bigint;
}

/** What a watch tells. */
export type EtcdNews =
  | { readonly type: 'changes'; readonly revision: bigint; readonly changes: readonly EtcdChange[] }
  /** What was asked for is no longer kept; nothing follows. */
  | { readonly type: 'compacted' };

/** A key that was written, or deleted: then without a value. */
export interface EtcdChange {
  readonly key: string;
  readonly value: string | undefined;
}

/** Which part of a range. */
export interface EtcdRangePart {
  /** Only what was written at this revision or later. */
  readonly since?: bigint;
  /** Only the keys, and no more than so many. */
  readonly keysOnly?: number;
}

/** Who asks. */
export interface EtcdUser {
  readonly user: string;
  readonly password: string;
}

type Fields = { readonly [name: string]: unknown };

const json = { 'content-type': 'application/json' };
/** A member that lost its cluster ends the watch then, instead of keeping silent. */
const withLeader = { 'grpc-metadata-hasleader': 'true' };
const notFound = 404;
const authOff = 'authentication is not enabled';
/** A token is forgotten when the server restarts, when it is old, and when anybody's rights are changed. */
const tokenIsOld = /invalid auth token|user name is empty|revision of auth store is old|auth.*old revision/i;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fields(value: unknown, what: string): Fields {
  if (isFields(value)) return value;
  throw new TypeError(`${what} is not an object`);
}

/** An int64, which JSON carries as text; 0 is left out. */
function integer(value: unknown, what: string): bigint {
  if (value === undefined) return 0n;
  if (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) return BigInt(value);
  throw new TypeError(`${what} is not a number`);
}

function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || Array.isArray(value)) return value ?? [];
  throw new TypeError(`${what} is not a list`);
}

function entryOf(value: unknown): EtcdEntry {
  const { key, value: held = '', lease } = fields(value, 'a key');
  const name = decoded(key);
  if (name === undefined) throw new TypeError('a key is not a text');
  return { key: name, value: decoded(held) ?? '', lease: String(integer(lease, 'a lease')) };
}

function changeOf(value: unknown): EtcdChange {
  const { type, kv } = fields(value, 'an event');
  const { key, value: held } = entryOf(kv);
  return { key, value: type === 'DELETE' ? undefined : held };
}

function revisionOf(reply: Fields): bigint {
  return integer(fields(reply['header'], 'the header')['revision'], 'the revision');
}

/** What a stream is wrapped in. */
function unwrapped(value: unknown): Fields {
  const { result, error } = fields(value, 'the answer');
  if (error === undefined) return fields(result, 'the result');
  const message = isFields(error) ? error['message'] : error;
  throw new Error(`etcd: ${String(message).slice(0, 200)}`);
}

/**
 * The few calls of etcd that discovery needs, over the JSON gateway that every member serves beside gRPC.
 *
 * Source: etcd 3.4 to 3.6, `api/etcdserverpb/rpc.proto` and "Why gRPC gateway": bytes as base64, int64 as text,
 * defaults left out.
 */
export class EtcdApi {
  private token: Promise<string> | undefined;

  constructor(
    private readonly nodes: HttpNodes,
    private readonly user: EtcdUser | undefined,
  ) {}

  /** @returns the id of a new lease */
  async grant(ttlMs: number, how: EtcdHow): Promise<string> {
    const reply = await this.call('/v3/lease/grant', { TTL: String(Math.ceil(ttlMs / 1_000)) }, how);
    const id = integer(reply['ID'], 'the id of the lease');
    if (id === 0n) throw new TypeError('a lease without an id');
    return String(id);
  }

  /** @returns whether the lease was still there */
  async keepAlive(lease: string, how: EtcdHow): Promise<boolean> {
    const reply = unwrapped(await this.call('/v3/lease/keepalive', { ID: lease }, how));
    return integer(reply['TTL'], 'the time to live') > 0n;
  }

  /** Ends a lease, and with it every key that hangs on it. @returns whether it was still there */
  async revoke(lease: string, how: EtcdHow): Promise<boolean> {
    const reply = await this.ask('/v3/lease/revoke', { ID: lease }, how);
    if (reply.status === notFound && reply.text.includes('lease not found')) return false;
    if (reply.status !== 200) throw httpFailure(reply);
    return true;
  }

  /** Writes a key that goes with a lease. @returns whether the lease was still there */
  async put(entry: EtcdEntry, how: EtcdHow): Promise<boolean> {
    const { key, value, lease } = entry;
    const body = { key: encoded(key), value: encoded(value), lease };
    const reply = await this.ask('/v3/kv/put', body, how);
    if (reply.status === notFound && reply.text.includes('lease not found')) return false;
    if (reply.status !== 200) throw httpFailure(reply);
    return true;
  }

  /** Reads one key. */
  async get(key: string, how: EtcdHow): Promise<EtcdEntry | undefined> {
    const reply = await this.call('/v3/kv/range', { key: encoded(key) }, how);
    const [first] = list(reply['kvs'], 'the keys');
    return first === undefined ? undefined : entryOf(first);
  }

  /** Reads all keys that begin like this. */
  async range(prefix: string, { since, keysOnly }: EtcdRangePart, how: EtcdHow): Promise<EtcdRange> {
    const part = {
      ...(since === undefined ? {} : { min_mod_revision: String(since) }),
      ...(keysOnly === undefined ? {} : { keys_only: true, limit: String(keysOnly) }),
    };
    const reply = await this.call('/v3/kv/range', { ...rangeOf(prefix), ...part }, how);
    const entries = list(reply['kvs'], 'the keys').map(entryOf);
    return { revision: revisionOf(reply), entries, count: integer(reply['count'], 'the count') };
  }

  /**
   * Follows all keys that begin like this.
   *
   * @param from - revision of the first change that is wanted
   */
  async *watch(prefix: string, from: bigint, signal: AbortSignal): AsyncGenerator<EtcdNews, void, undefined> {
    const request = { ...rangeOf(prefix), start_revision: String(from), progress_notify: true };
    const lines = this.nodes.lines({
      method: 'POST',
      path: '/v3/watch',
      headers: { ...json, ...withLeader, ...(await this.authorization(signal)) },
      body: JSON.stringify({ create_request: request }),
      signal,
    });
    for await (const line of lines) {
      const news = unwrapped(line);
      if (news['compact_revision'] !== undefined) {
        yield { type: 'compacted' };
        return;
      }
      if (news['canceled'] === true) {
        // Of the many reasons an old token is the one that asking again as before would not mend.
        this.token = undefined;
        throw new Error(
          `etcd ended the watch: ${String(news['cancel_reason'] ?? 'it says not why').slice(0, 200)}`,
        );
      }
      const changes = list(news['events'], 'the events').map(changeOf);
      yield { type: 'changes', revision: revisionOf(news), changes };
    }
  }

  private async call(path: string, body: Fields, how: EtcdHow): Promise<Fields> {
    const reply = await this.ask(path, body, how);
    if (reply.status !== 200) throw httpFailure(reply);
    return fields(JSON.parse(reply.text), 'the answer');
  }

  private async ask(path: string, body: Fields, how: EtcdHow): Promise<HttpReply> {
    const headers = await this.authorization(how.signal);
    const { token } = this;
    const reply = await this.post(path, body, { ...how, headers });
    if (token === undefined || reply.status === 200 || !tokenIsOld.test(reply.text)) return reply;
    // Many calls find the same token old; the first one has it renewed.
    if (this.token === token) this.token = undefined;
    return this.post(path, body, { ...how, headers: await this.authorization(how.signal) });
  }

  private post(
    path: string,
    body: Fields,
    { headers, ...how }: EtcdHow & { headers?: Readonly<Record<string, string>> },
  ): Promise<HttpReply> {
    const sent = { ...json, ...headers };
    return this.nodes.ask({ method: 'POST', path, body: JSON.stringify(body), headers: sent, ...how });
  }

  private async authorization(signal: AbortSignal | undefined): Promise<Readonly<Record<string, string>>> {
    const { user } = this;
    if (user === undefined) return {};
    signal?.throwIfAborted();
    this.token ??= this.authenticate(user);
    const asked = this.token;
    try {
      const token = await asked;
      return token === '' ? {} : { authorization: token };
    } catch (error) {
      if (this.token === asked) this.token = undefined;
      throw error;
    }
  }

  /** @returns a token; an empty one when the server asks for none */
  private async authenticate({ user, password }: EtcdUser): Promise<string> {
    const reply = await this.post('/v3/auth/authenticate', { name: user, password }, { holdsProcess: true });
    if (reply.status !== 200 && reply.text.includes(authOff)) return '';
    if (reply.status !== 200) throw httpFailure(reply);
    const { token } = fields(JSON.parse(reply.text), 'the answer');
    if (typeof token !== 'string' || !/^[\x21-\x7e]{1,8192}$/.test(token))
      throw new RegistryRefusal('etcd gave no token');
    return token;
  }
}
