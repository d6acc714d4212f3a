import { readBounded, writeAtomic } from './atomic-file.js';
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
  const body = await readBounded(path, maxBytes);
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

/** Writes a snapshot; readers find the old one or the new one. */
export async function writeSnapshot(path: string, env: string, snapshot: Snapshot): Promise<void> {
  await writeAtomic(path, stringify({ version, env, services: Object.fromEntries(snapshot) }));
}
