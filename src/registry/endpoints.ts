import { appKey, ownAppid } from './app-key.js';
import type { Engine, Exchange } from './engine.js';
import type { Fields } from './fields.js';
import { blankInstance, type InstanceId } from './instance-record.js';
import { readMetadata } from './metadata.js';
import { PendingPoll, type Watched } from './polling.js';
import { badRequest, codes } from './refused.js';
import { changes, listsByApp, plain, pollMissing, type Reply, withData } from './reply.js';

/** Answers one request, or keeps the exchange to answer it later. Throws {@link Refused}. */
type Endpoint = (engine: Engine, fields: Fields, exchange: Exchange) => Reply | undefined;

/** One path of the protocol. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly endpoint: Endpoint;
}

/** Clients find the registry under this app: nobody else is to stand there, nor to take it away. */
function notOwn<Id extends { readonly appid: string }>(id: Id): Id {
  if (id.appid === ownAppid) throw badRequest(`appid: ${ownAppid} is the registry itself`);
  return id;
}

const subject = ({ env, appid, zone, hostname }: InstanceId) => ({ env, appid, zone, hostname });

const register: Endpoint = (engine, fields) => {
  const registration = {
    ...notOwn(fields.id()),
    region: fields.name('region'),
    version: fields.name('version'),
    status: fields.status(),
    addrs: fields.addrs(),
    metadata: readMetadata(fields.raw('metadata'), engine.limits),
    dirty: fields.timestamp('dirty_timestamp'),
    latest: fields.flag('replication') ? fields.timestamp('latest_timestamp') : undefined,
  };
  const outcome = engine.store.register(registration, engine.now());
  if (outcome === 'added') engine.lifecycle.guard.added();
  engine.tell('registered', { ...subject(registration), outcome, status: registration.status });
  return plain(codes.ok);
};

const renew: Endpoint = (engine, fields) => {
  const id = fields.id();
  const record = engine.store.renew(id, engine.now());
  if (record === undefined)
    return withData(codes.notFound, engine.store.has(id.env, id.appid) ? blankInstance : 'null');
  if (!record.permanent) engine.lifecycle.guard.renewed();
  if (!fields.flag('replication')) return withData(codes.ok, record.encode());
  // The rules by which peers repair each other: who is newer sends, who is older is sent.
  const dirty = fields.timestamp('dirty_timestamp') ?? 0n;
  if (dirty > record.dirtyNs) return withData(codes.notFound, record.encode());
  if (dirty < record.dirtyNs) return withData(codes.conflict, record.encode());
  return withData(codes.ok, record.encode());
};

const cancel: Endpoint = (engine, fields) => {
  const id = notOwn(fields.id());
  const stamp = fields.flag('replication') ? fields.timestamp('latest_timestamp') : undefined;
  if (!engine.store.cancel(id, engine.now(), stamp)) return plain(codes.notFound);
  engine.lifecycle.guard.removed();
  engine.tell('cancelled', subject(id));
  return plain(codes.ok);
};

const set: Endpoint = (engine, fields) => {
  const { zone, env, appid } = notOwn(fields.app());
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
  engine.tell('changed', { env, appid, zone, hosts: hosts.length });
  return plain(codes.ok);
};

const fetchOne: Endpoint = (engine, fields) => {
  const env = fields.required('env');
  const query = { env, appid: fields.required('appid'), status: fields.filter(), zone: fields.name('zone') };
  const list = engine.store.list(query);
  if (list === undefined) return withData(codes.notFound, 'null');
  return withData(list.known ? codes.ok : codes.notFound, list.json);
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

const fetchAll: Endpoint = (engine) => {
  const apps = new Map<string, string[]>();
  for (const record of engine.store.records()) {
    const listed = apps.get(record.appid);
    if (listed === undefined) apps.set(record.appid, [record.encode()]);
    else listed.push(record.encode());
  }
  const lists = [...apps].map(([appid, listed]) => `${JSON.stringify(appid)}:[${listed.join(',')}]`);
  return withData(codes.ok, `{${lists.join(',')}}`);
};

const nodes: Endpoint = (engine) => {
  const { address, zone } = engine.self;
  return withData(codes.ok, JSON.stringify([{ addr: address, status: 0, zone }]));
};

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
      form: (changed) => withData(codes.ok, changed.get(appid) ?? 'null'),
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

/** Every path of the protocol. `/metrics` and `/metadata` of the original's framework are not part of it. */
export const routes: ReadonlyMap<string, Route> = new Map([
  ['/discovery/register', { method: 'POST', endpoint: register }],
  ['/discovery/renew', { method: 'POST', endpoint: renew }],
  ['/discovery/cancel', { method: 'POST', endpoint: cancel }],
  ['/discovery/set', { method: 'POST', endpoint: set }],
  ['/discovery/fetch', { method: 'GET', endpoint: fetchOne }],
  ['/discovery/fetchs', { method: 'GET', endpoint: fetchSome }],
  ['/discovery/fetch/all', { method: 'GET', endpoint: fetchAll }],
  ['/discovery/poll', { method: 'GET', endpoint: poll }],
  ['/discovery/polls', { method: 'GET', endpoint: polls }],
  ['/discovery/nodes', { method: 'GET', endpoint: nodes }],
]);
