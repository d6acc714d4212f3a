import { appKey, ownAppid } from './app-key.js';
import { callerFields } from './caller.js';
import { believable, renewalLifts } from './conflict.js';
import type { Engine, Exchange } from './engine.js';
import type { Fields } from './fields.js';
import type { InstanceId } from './instance-id.js';
import { blankInstance } from './instance-record.js';
import { clusterNsOf } from './instant.js';
import { readMetadata } from './metadata.js';
import { digest, entries, mergeEntries } from './peer-endpoints.js';
import type { Told } from './peer-queue.js';
import { peerPaths } from './peer-wire.js';
import { PendingPoll, type Watched } from './polling.js';
import { badRequest, codes, Refused } from './refused.js';
import { changes, listReply, listsByApp, plain, pollMissing, type Reply, withData } from './reply.js';
import { toldNames } from './told-names.js';

/** Answers one request, or keeps the exchange to answer it later. Throws {@link Refused}. */
type Endpoint = (engine: Engine, fields: Fields, exchange: Exchange) => Reply | undefined;

/** One path of the protocol. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly endpoint: Endpoint;
  /** What the log calls it when it is refused; absent: it is not told. */
  readonly write?: 'register' | 'cancel' | 'set' | 'merge' | undefined;
}

/** Where a write comes from. */
interface Origin {
  /** From a node of the own zone: it tells the others itself. */
  readonly replicated: boolean;
  /** From any other node. */
  readonly fromNode: boolean;
}

/** Nodes are believed when something was written, and whom that was told: who says to be one has to be one. */
function originOf({ access }: Engine, fields: Fields, { caller }: Exchange): Origin {
  const replicated = fields.flag('replication');
  const fromNode = replicated || fields.flag('from_zone');
  if (fromNode) access.admitNode(caller);
  return { replicated, fromNode };
}

/** Clients find the registry under this app: nobody but its nodes is to stand there, nor to take them away. */
function notOwn<Id extends { readonly appid: string }>(
  engine: Engine,
  { fromNode }: Pick<Origin, 'fromNode'>,
  id: Id,
): Id {
  if (id.appid === ownAppid && !(engine.replication && fromNode))
    throw badRequest(`appid: ${ownAppid} is the registry itself`);
  return id;
}

/** A version beside which nothing could ever be newer would stay for good. */
function versionOf(engine: Engine, fields: Fields, { fromNode }: Origin): bigint | undefined {
  const dirty = fields.timestamp('dirty_timestamp');
  if (dirty === undefined || believable(dirty, clusterNsOf(engine.now()))) return dirty;
  if (fromNode) throw badRequest('dirty_timestamp: is years ahead, or negative');
  // Clients are newest by themselves.
  return undefined;
}

/** Tells peers of a write, unless one of them did. The answer waits for them, but not for long. */
function passedOn(
  engine: Engine,
  ids: readonly InstanceId[],
  { told, origin, exchange, reply }: { told: Told; origin: Origin; exchange: Exchange; reply: Reply },
): Reply | undefined {
  const { replication } = engine;
  if (replication === undefined || origin.replicated) return reply;
  if (told === 'state' && !origin.fromNode) replication.wrote(ids);
  const reach = origin.fromNode ? 'own zone' : 'everywhere';
  const waits = ids.map((id) => replication.push(id, told, reach)).filter((wait) => wait !== undefined);
  // Another node waits for this answer, and its client for that one.
  if (waits.length === 0 || origin.fromNode) return reply;
  void Promise.all(waits).then(() => exchange.answer(reply));
  return undefined;
}

const subject = ({ env, appid, zone, hostname }: InstanceId) => ({ env, appid, zone, hostname });

const register: Endpoint = (engine, fields, exchange) => {
  const origin = originOf(engine, fields, exchange);
  const registration = {
    ...notOwn(engine, origin, fields.id()),
    region: fields.name('region'),
    version: fields.name('version'),
    status: fields.status(),
    addrs: fields.addrs(),
    metadata: readMetadata(fields.raw('metadata'), engine.limits),
    dirty: versionOf(engine, fields, origin),
    latest: origin.fromNode ? fields.timestamp('latest_timestamp') : undefined,
  };
  if (engine.replication?.isOwn(registration)) {
    engine.replication.hearOfSelf({ dirtyNs: registration.dirty ?? 0n, addrs: registration.addrs });
    return plain(codes.ok);
  }
  const outcome = engine.store.register(registration, engine.now());
  if (outcome === 'added') engine.lifecycle.guard.added();
  engine.tell('registered', {
    ...subject(registration),
    outcome,
    status: registration.status,
    ...callerFields(exchange.caller),
  });
  return passedOn(engine, [registration], { told: 'state', origin, exchange, reply: plain(codes.ok) });
};

/** Whether a peer renews what was cancelled, and has not heard of it yet. */
function renewsCancelled({ store, now }: Engine, id: InstanceId, dirty: bigint): boolean {
  const cancelled = store.findCancelled(id);
  if (cancelled === undefined || dirty > cancelled.dirtyNs) return false;
  if (!renewalLifts(now().ms - cancelled.sinceMs)) return true;
  store.lift(id);
  return false;
}

const renew: Endpoint = (engine, fields, exchange) => {
  const origin = originOf(engine, fields, exchange);
  const id = notOwn(engine, origin, fields.id());
  const dirty = versionOf(engine, fields, origin) ?? 0n;
  const record = engine.store.renew(id, engine.now());
  if (record === undefined) {
    if (origin.fromNode && renewsCancelled(engine, id, dirty)) return withData(codes.conflict, 'null');
    return withData(codes.notFound, engine.store.has(id.env, id.appid) ? blankInstance : 'null');
  }
  const reply = withData(codes.ok, record.encode());
  if (!origin.replicated) return passedOn(engine, [id], { told: 'renewal', origin, exchange, reply });
  // The rules by which peers repair each other: who is newer sends, who is older is sent.
  if (dirty > record.dirtyNs) return withData(codes.notFound, record.encode());
  if (dirty < record.dirtyNs) return withData(codes.conflict, record.encode());
  return reply;
};

const cancel: Endpoint = (engine, fields, exchange) => {
  const origin = originOf(engine, fields, exchange);
  const id = notOwn(engine, origin, fields.id());
  const stamp = origin.fromNode ? fields.timestamp('latest_timestamp') : undefined;
  if (engine.replication?.isOwn(id)) {
    engine.replication.hearOfSelf({ dirtyNs: engine.store.find(id)?.dirtyNs ?? 0n });
    return plain(codes.ok);
  }
  const dirty = origin.fromNode ? versionOf(engine, fields, origin) : undefined;
  const found = engine.store.cancel({ ...id, dirty }, engine.now(), stamp);
  const whose = { ...subject(id), ...callerFields(exchange.caller) };
  if (found) {
    engine.lifecycle.guard.removed();
    engine.tell('cancelled', whose);
  } else engine.tell('refused', { write: 'cancel', code: codes.notFound, ...whose });
  // Also when it is unknown here: it may have registered on the other side of a cut.
  const reply = plain(found ? codes.ok : codes.notFound);
  return passedOn(engine, [id], { told: 'state', origin, exchange, reply });
};

const set: Endpoint = (engine, fields, exchange) => {
  const origin = originOf(engine, fields, exchange);
  const { zone, env, appid } = notOwn(engine, { fromNode: false }, fields.app());
  const hostnames = fields.all('hostname');
  const statuses = fields.statuses();
  const metadata = fields.all('metadata');
  for (const [name, values] of [
    ['status', statuses],
    ['metadata', metadata],
  ] as const)
    if (values.length !== 0 && values.length !== hostnames.length)
      throw badRequest(`${name}: ${values.length} for ${hostnames.length} hostnames`);
  const hosts = hostnames.map((hostname, at) => ({
    hostname,
    status: statuses[at],
    metadata: metadata[at] === undefined ? undefined : readMetadata(metadata[at], engine.limits),
  }));
  engine.store.set({ zone, env, appid, hosts, stamp: fields.timestamp('set_timestamp') }, engine.now());
  for (const { count, names } of toldNames(hostnames.map((hostname) => [hostname])))
    engine.tell('changed', {
      ...{ env, appid, zone, hosts: count, hostname: names },
      ...callerFields(exchange.caller),
    });
  // What came of it is told, not what was asked: so all nodes end up with the same, whatever they had.
  const ids = hosts.map(({ hostname }) => ({ env, appid, zone, hostname }));
  return passedOn(engine, ids, { told: 'state', origin, exchange, reply: plain(codes.ok) });
};

/** A node that has not yet heard what its peers know says so: who reads goes on to another one. */
const reading =
  (endpoint: Endpoint): Endpoint =>
  (engine, fields, exchange) => {
    if (engine.replication?.synced === false)
      throw new Refused(codes.serverError, 'this node is still hearing from its peers');
    return endpoint(engine, fields, exchange);
  };

/** What nodes of ours ask each other. */
const amongNodes =
  (endpoint: Endpoint): Endpoint =>
  (engine, fields, exchange) => {
    engine.access.admitNode(exchange.caller);
    return endpoint(engine, fields, exchange);
  };

const fetchOne: Endpoint = (engine, fields) => {
  const env = fields.required('env');
  const query = { env, appid: fields.required('appid'), status: fields.filter(), zone: fields.name('zone') };
  const list = engine.store.list(query);
  if (list === undefined) return withData(codes.notFound, 'null');
  return list.known ? listReply(list.json) : withData(codes.notFound, list.json);
};

const fetchSome: Endpoint = (engine, fields) => {
  const env = fields.required('env');
  const appids = fields.appids();
  const status = fields.filter();
  const zone = fields.name('zone');
  const lists = new Map<string, Buffer>();
  for (const appid of appids) {
    const list = engine.store.list({ env, appid, status, zone });
    if (list?.known) lists.set(appid, list.json);
  }
  return withData(codes.ok, ...listsByApp(lists));
};

const fetchAll: Endpoint = (engine, fields) => {
  const withStale = fields.flag('stale');
  const apps = new Map<string, string[]>();
  for (const record of engine.store.records()) {
    // A peer that asks takes it for alive; people ask for all.
    if (record.stale && engine.replication && !withStale) continue;
    const listed = apps.get(record.appid);
    if (listed === undefined) apps.set(record.appid, [record.encode()]);
    else listed.push(record.encode());
  }
  const lists = [...apps].map(([appid, listed]) => `${JSON.stringify(appid)}:[${listed.join(',')}]`);
  return withData(codes.ok, `{${lists.join(',')}}`);
};

const nodes: Endpoint = (engine) => {
  const { address, zone } = engine.self;
  const peers = (engine.replication?.states() ?? []).filter((peer) => peer.zone === '');
  const listed = peers.map((peer) => ({ addr: peer.address, status: peer.status === 'up' ? 0 : 1, zone }));
  return withData(codes.ok, JSON.stringify([{ addr: address, status: 0, zone }, ...listed]));
};

const formOf = (list: Buffer | undefined): Reply =>
  list === undefined ? withData(codes.ok, 'null') : listReply(list);

const poll: Endpoint = (engine, fields, exchange) => {
  const env = fields.required('env');
  const [appid = ''] = fields.appids();
  fields.required('hostname');
  const since = fields.timestamps('latest_timestamp')[0] ?? 0n;
  const zone = fields.name('zone');
  if (engine.store.listSince({ env, appid, zone, status: 1 }, since) === 'missing') return pollMissing(appid);
  return new PendingPoll(
    engine,
    {
      env,
      zone,
      watched: [{ appid, key: appKey(env, appid), since }],
      form: (changed) => formOf(changed.get(appid)),
    },
    exchange,
  ).start();
};

const polls: Endpoint = (engine, fields, exchange) => {
  const env = fields.required('env');
  const appids = fields.appids();
  fields.required('hostname');
  const stamps = fields.timestamps('latest_timestamp');
  if (stamps.length !== appids.length)
    throw badRequest(`latest_timestamp: ${stamps.length} for ${appids.length} apps`);
  const watched = new Map<string, Watched>();
  for (const [at, appid] of appids.entries()) {
    const since = stamps[at] ?? 0n;
    const before = watched.get(appid);
    // Of an app named twice the older knowledge counts: it can only bring a list too many.
    if (before === undefined || since < before.since)
      watched.set(appid, { appid, key: appKey(env, appid), since });
  }
  const zone = fields.name('zone');
  return new PendingPoll(
    engine,
    { env, zone, watched: [...watched.values()], form: changes },
    exchange,
  ).start();
};

/** Every path of the protocol, and those of our own nodes among each other. `/metrics` and `/metadata` of the original's framework are not part of it. */
export const routes: ReadonlyMap<string, Route> = new Map([
  ['/discovery/register', { method: 'POST', endpoint: register, write: 'register' }],
  ['/discovery/renew', { method: 'POST', endpoint: renew }],
  ['/discovery/cancel', { method: 'POST', endpoint: cancel, write: 'cancel' }],
  ['/discovery/set', { method: 'POST', endpoint: set, write: 'set' }],
  ['/discovery/fetch', { method: 'GET', endpoint: reading(fetchOne) }],
  ['/discovery/fetchs', { method: 'GET', endpoint: reading(fetchSome) }],
  ['/discovery/fetch/all', { method: 'GET', endpoint: reading(fetchAll) }],
  ['/discovery/poll', { method: 'GET', endpoint: reading(poll) }],
  ['/discovery/polls', { method: 'GET', endpoint: reading(polls) }],
  ['/discovery/nodes', { method: 'GET', endpoint: reading(nodes) }],
  [peerPaths.digest, { method: 'GET', endpoint: amongNodes(digest) }],
  [peerPaths.entries, { method: 'GET', endpoint: amongNodes(entries) }],
  [peerPaths.merge, { method: 'POST', endpoint: amongNodes(mergeEntries), write: 'merge' }],
]);
