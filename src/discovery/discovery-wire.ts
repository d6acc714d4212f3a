import type { ServiceInstance } from './instance.js';
import { type LosslessJson, parse, stringify } from './lossless-json.js';

/** Where instances carry their id: kratos looks there too, and the protocol itself has no field for it. */
export const idLabel = 'kratos.v2.serviceinstance.id';
const weightLabel = 'weight';
const usualWeight = 100;

/** What a node answered. */
export interface Reply {
  /** 0 for success; -304 nothing new, -400 refused, -404 missing, -500 and below trouble of the node. */
  readonly code: number;
  readonly message: string;
  readonly data: LosslessJson | undefined;
  /** Services that the node does not know, where it says so. */
  readonly missing: readonly string[];
}

/** All instances of one service that are up, as a node knows them. */
export interface ServiceList {
  readonly instances: readonly ServiceInstance[];
  /** To be echoed to the digit; it counts nanoseconds, and every node has its own. */
  readonly timestamp: bigint;
  /** Why instances were left out, one entry each. */
  readonly skipped: readonly string[];
}

type Fields = { readonly [key: string]: LosslessJson };

/** Whether a value is an object with members. */
export function isFields(value: LosslessJson | undefined): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: LosslessJson | undefined): string {
  return typeof value === 'string' ? value : '';
}

function strings(value: LosslessJson | undefined): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function integer(value: LosslessJson | undefined): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : 0n;
}

/**
 * Reads the envelope around every answer.
 *
 * @throws SyntaxError when it is not JSON, TypeError when it is no envelope
 */
export function readReply(body: string): Reply {
  if (body === '') throw new TypeError('empty reply');
  const envelope = parse(body);
  if (!isFields(envelope) || typeof envelope['code'] !== 'number')
    throw new TypeError('reply without a code');
  const { code, data, error } = envelope;
  return {
    code,
    message: text(envelope['message']),
    data,
    missing: isFields(error) ? strings(error['-404']) : [],
  };
}

/**
 * A replicated registration comes with its addresses joined by commas; a comma inside an address is followed by no
 * scheme.
 */
function addressesOf(value: LosslessJson | undefined): string[] {
  return strings(value)
    .flatMap((address) => address.split(/,(?=[a-z][a-z0-9+.-]*:\/\/)/i))
    .filter((address) => address !== '');
}

function weightOf(labels: ReadonlyMap<string, string>): number {
  const weight = Number(labels.get(weightLabel) || Number.NaN);
  return weight >= 0 && Number.isFinite(weight) ? weight : usualWeight;
}

/**
 * The id of an instance, new for every process. Our own and kratos' instances carry one. For others it is made of the
 * host name and `dirty_timestamp`: that one is set when a process registers and travels to the other nodes, whereas
 * `reg_timestamp` is stamped by each node anew, so that with it every change of node would look like a restart of
 * everything.
 */
function idOf(fields: Fields, hostname: string, zone: string, labels: ReadonlyMap<string, string>): string {
  const given = labels.get(idLabel);
  return given || `${zone}/${hostname}#${integer(fields['dirty_timestamp'])}`;
}

/** Reads one instance, or says in a few words why it is none. */
function readInstance(
  value: LosslessJson,
  service: string,
  env: string,
  inZone: string,
): ServiceInstance | string {
  if (!isFields(value)) return 'is not an object';
  const hostname = text(value['hostname']);
  if (hostname === '') return 'has no hostname';
  // The server joins service and environment with a hyphen, and so hands out "a-b" of "c" to who asks for "a" of "b-c".
  const of = text(value['appid']);
  if (of !== '' && of !== service) return `belongs to ${of}`;
  const its = text(value['env']);
  if (its !== '' && its !== env) return `belongs to environment ${its}`;
  const addresses = addressesOf(value['addrs']);
  if (addresses.length === 0) return 'has no address';
  const zone = text(value['zone']) || inZone;
  const labels = new Map(
    Object.entries(isFields(value['metadata']) ? value['metadata'] : {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
  const id = idOf(value, hostname, zone, labels);
  const weight = weightOf(labels);
  labels.delete(idLabel);
  labels.delete(weightLabel);
  return {
    id,
    service,
    hostname,
    addresses,
    version: text(value['version']),
    zone,
    env: its || env,
    region: text(value['region']),
    weight,
    status: value['status'] === 2 ? 'waiting' : 'up',
    metadata: Object.assign(Object.create(null), Object.fromEntries(labels)),
  };
}

/**
 * Reads what a node says of one service: its instances of all zones that are up. What cannot be read is left out, one
 * by one.
 */
export function readList(
  info: LosslessJson | undefined,
  service: string,
  env: string,
): ServiceList | undefined {
  if (!isFields(info)) return undefined;
  const zones = info['instances'];
  if (zones !== null && !isFields(zones)) return undefined;
  const instances: ServiceInstance[] = [];
  const skipped: string[] = [];
  for (const [zone, list] of Object.entries(zones ?? {})) {
    if (list !== null && !Array.isArray(list)) skipped.push(`zone ${zone} is not a list`);
    for (const value of Array.isArray(list) ? list : []) {
      const instance = readInstance(value, service, env, zone);
      if (typeof instance === 'string') skipped.push(`an instance in zone ${zone} ${instance}`);
      else if (instance.status === 'up') instances.push(instance);
    }
  }
  return { instances: unique(instances), timestamp: integer(info['latest_timestamp']), skipped };
}

/** Two instances of one id would be one endpoint with two minds; the last one counts. */
function unique(instances: readonly ServiceInstance[]): ServiceInstance[] {
  return [...new Map(instances.map((instance) => [instance.id, instance])).values()];
}

/** Reads the nodes of a cluster that are up in a zone, as `host:port` or URL. */
export function readNodes(data: LosslessJson | undefined, zone: string): string[] {
  const nodes = Array.isArray(data) ? data.filter(isFields) : [];
  return nodes
    .filter((node) => text(node['zone']) === zone && node['status'] !== 1)
    .map((node) => text(node['addr']))
    .filter((address) => address !== '');
}

/** What names an instance to the server. */
export function identityForm(instance: ServiceInstance): URLSearchParams {
  const { service, hostname, zone, env, region } = instance;
  return new URLSearchParams({ appid: service, hostname, zone, env, region });
}

/** Everything the server stores of an instance. Addresses are repeated: comma lists are not split since 1.1.2. */
export function registrationForm(instance: ServiceInstance): URLSearchParams {
  const form = identityForm(instance);
  for (const address of instance.addresses) form.append('addrs', address);
  form.set('version', instance.version);
  form.set('status', instance.status === 'up' ? '1' : '2');
  // Strings only: of other values the server keeps the empty string.
  const labels = { ...instance.metadata, [weightLabel]: String(instance.weight), [idLabel]: instance.id };
  form.set('metadata', stringify(labels));
  return form;
}
