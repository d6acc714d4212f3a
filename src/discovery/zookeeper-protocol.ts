import { createHash } from 'node:crypto';
import { type JuteReader, JuteWriter } from './jute.js';

/** What is asked of a server. */
export const operation = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  getChildren: 12,
  ping: 11,
  auth: 100,
  setWatches: 101,
  closeSession: -11,
} as const;

/** Requests that are not numbered bear these instead. */
export const fixedXid = { event: -1, ping: -2, auth: -4, setWatches: -8 } as const;

/** Why a server did not do it. */
export const failure = {
  noNode: -101,
  noAuth: -102,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  sessionExpired: -112,
  invalidAcl: -114,
  authFailed: -115,
} as const;

/** What befell a node. */
export const happened = { created: 1, deleted: 2, dataChanged: 3, childrenChanged: 4 } as const;

/** A server's answer that is no success. */
export class ZooKeeperError extends Error {
  override readonly name = 'ZooKeeperError';

  constructor(readonly code: number) {
    const known = Object.entries(failure).find(([, value]) => value === code)?.[0];
    super(`ZooKeeper answered ${code}${known === undefined ? '' : ` (${known})`}`);
  }
}

/** How a session is taken up, or begun: then its id is 0. */
export interface ConnectRequest {
  readonly id: bigint;
  readonly password: Uint8Array;
  readonly timeoutMs: number;
  /** The newest that was seen; a server that is behind it refuses. */
  readonly lastZxid: bigint;
}

/** What the server makes of it. */
export interface ConnectResponse {
  readonly id: bigint;
  readonly password: Buffer;
  /** As granted; 0 when the session has expired. */
  readonly timeoutMs: number;
}

/** Where a node belongs. */
export interface NodeStat {
  /** Session that it ends with; 0 when with none. */
  readonly owner: bigint;
}

/** User and password. */
export interface ZooKeeperUser {
  readonly user: string;
  readonly password: string;
}

const everything = 31;
const ephemeral = 1;

export function connectFrame({ id, password, timeoutMs, lastZxid }: ConnectRequest): Buffer {
  const writer = new JuteWriter().int(0).long(lastZxid).int(timeoutMs).long(id).buffer(password);
  return writer.bool(false).frame();
}

export function readConnect(reader: JuteReader): ConnectResponse {
  reader.int();
  const timeoutMs = reader.int();
  return { timeoutMs, id: reader.long(), password: Buffer.from(reader.buffer()) };
}

export function readStat(reader: JuteReader): NodeStat {
  for (let times = 0; times < 4; times++) reader.long();
  for (let versions = 0; versions < 3; versions++) reader.int();
  return { owner: reader.long() };
}

/** Who proves to be this one may do everything, and nobody else anything; everybody without one. As kratos has it. */
function writeAcl(writer: JuteWriter, user: ZooKeeperUser | undefined): JuteWriter {
  writer.int(1).int(everything);
  if (user === undefined) return writer.text('world').text('anyone');
  const digest = createHash('sha1').update(`${user.user}:${user.password}`).digest('base64');
  return writer.text('digest').text(`${user.user}:${digest}`);
}

/** What a node is made of. */
export interface NewNode {
  readonly path: string;
  readonly data: string;
  /** Whether it ends with the session. */
  readonly ephemeral: boolean;
  readonly user: ZooKeeperUser | undefined;
}

export function writeCreate(writer: JuteWriter, node: NewNode): void {
  writer.text(node.path).text(node.data);
  writeAcl(writer, node.user).int(node.ephemeral ? ephemeral : 0);
}

export function authFrame({ user, password }: ZooKeeperUser): Buffer {
  const writer = new JuteWriter().int(fixedXid.auth).int(operation.auth).int(0);
  return writer.text('digest').text(`${user}:${password}`).frame();
}

export function pingFrame(): Buffer {
  return new JuteWriter().int(fixedXid.ping).int(operation.ping).frame();
}
