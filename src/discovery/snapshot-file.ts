import { randomUUID } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import type { ServiceInstance } from './instance.js';
import { type LosslessJson, parse, stringify } from './lossless-json.js';

/** Lists by service. */
export type Snapshot = ReadonlyMap<string, readonly ServiceInstance[]>;

const version = 1;
const maxBytes = 64 * 1024 * 1024;

type Fields = { readonly [key: string]: LosslessJson };

function fields(value: LosslessJson | undefined, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new TypeError(`${what} is not an object`);
}

function text(from: Fields, field: string): string {
  const value = from[field];
  if (typeof value === 'string') return value;
  throw new TypeError(`${field} is not a string`);
}

function instanceOf(value: LosslessJson, service: string): ServiceInstance {
  const from = fields(value, 'an instance');
  const { weight, addresses } = from;
  if (typeof weight !== 'number') throw new TypeError('weight is not a number');
  if (!Array.isArray(addresses)) throw new TypeError('addresses is not a list');
  const labels = fields(from['metadata'], 'metadata');
  return {
    id: text(from, 'id'),
    service,
    hostname: text(from, 'hostname'),
    addresses: addresses.map((_, at) => text(addresses as unknown as Fields, String(at))),
    version: text(from, 'version'),
    zone: text(from, 'zone'),
    env: text(from, 'env'),
    region: text(from, 'region'),
    weight,
    status: 'up',
    metadata: Object.assign(
      Object.create(null),
      Object.fromEntries(Object.keys(labels).map((name) => [name, text(labels, name)])),
    ),
  };
}

/**
 * Reads a snapshot.
 *
 * @param env - a snapshot of another environment is refused: its instances are none of ours
 * @returns an empty one when there is no file
 * @throws Error when the file cannot be used, be it torn, garbage or foreign; then nothing of it is
 */
export async function readSnapshot(path: string, env: string): Promise<Snapshot> {
  const body = await readBounded(path);
  if (body === undefined) return new Map();
  const file = fields(parse(body), 'the file');
  if (file['version'] !== version) throw new TypeError(`version is not ${version}`);
  if (file['env'] !== env) throw new TypeError(`it belongs to environment ${String(file['env'])}`);
  return new Map(
    Object.entries(fields(file['services'], 'services')).map(([service, list]) => {
      if (!Array.isArray(list)) throw new TypeError(`the instances of ${service} are not a list`);
      return [service, list.map((value: LosslessJson) => instanceOf(value, service))];
    }),
  );
}

async function readBounded(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new RangeError(`it has ${size} bytes, more than ${maxBytes}`);
    const file = await open(path, 'r');
    try {
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Writes a snapshot so that a reader finds the old one or the new one, never half of one: to a file beside it, to the
 * disk, then renamed. Readable by this user alone, since labels may tell more than others should know.
 */
export async function writeSnapshot(path: string, env: string, snapshot: Snapshot): Promise<void> {
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(stringify({ version, env, services: Object.fromEntries(snapshot) }), 'utf8');
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw error;
  }
}
