import type { ServiceInstance } from './instance.js';

/** Where kratos keeps what it has no field for; others read these labels too. */
export const instanceLabels = ['weight', 'zone', 'env', 'region', 'hostname', 'status'] as const;

/** Limits of what is read: a registry is written to by others. */
const maxTextLength = 65_536;
const maxAddresses = 64;
const maxLabels = 256;
const usualWeight = 100;

/** Fields of an instance as a registry told them, none of them trusted. */
export interface RawInstance {
  readonly id: unknown;
  readonly name: unknown;
  readonly version?: unknown;
  readonly metadata?: unknown;
  readonly endpoints: unknown;
}

/** What an instance has to be. */
export interface ExpectedInstance {
  readonly service: string;
  /** The id by which the registry keeps it, where it keeps it by one. */
  readonly id?: string | undefined;
}

/**
 * The labels of an instance with those added that stand for its fields: `weight` always, `zone`, `env`, `region` and
 * `hostname` where they are known, `status` when it is `waiting`.
 */
export function kratosMetadata(instance: ServiceInstance): Record<string, string> {
  const { metadata, weight, zone, env, region, hostname, status } = instance;
  const labels: Record<string, string> = Object.assign(Object.create(null), metadata);
  const fields = { weight: String(weight), zone, env, region, hostname };
  for (const [name, value] of Object.entries(fields)) if (value !== '') labels[name] = value;
  if (status === 'waiting') labels['status'] = status;
  return labels;
}

/**
 * An instance in the JSON of kratos, letter for letter its names and their order.
 *
 * @throws RangeError for one that is longer than anybody would read
 */
export function kratosJson(instance: ServiceInstance): string {
  const { id, service, version, addresses } = instance;
  const metadata = kratosMetadata(instance);
  const text = JSON.stringify({ id, name: service, version, metadata, endpoints: addresses });
  if (text.length > maxTextLength)
    throw new RangeError(`the instance of ${service} is longer than ${maxTextLength} characters`);
  return text;
}

/** Reads an instance in the JSON of kratos, or says in a few words why it is none. */
export function readKratosJson(text: string, expected: ExpectedInstance): ServiceInstance | string {
  if (text.length > maxTextLength) return `is longer than ${maxTextLength} characters`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is not an object';
  return readInstance(value as unknown as RawInstance, expected);
}

/**
 * Makes an instance of what a registry told, or says in a few words why it is none. Of labels only texts are taken;
 * what is unknown is left out.
 */
export function readInstance(raw: RawInstance, expected: ExpectedInstance): ServiceInstance | string {
  const { id, name, version, endpoints } = raw;
  if (typeof id !== 'string' || id === '') return 'has no id';
  // A liar would otherwise take the place of the one whose id it bears.
  if (expected.id !== undefined && id !== expected.id) return 'bears the id of another';
  if (name !== expected.service)
    return `belongs to ${typeof name === 'string' ? name.slice(0, 100) : 'nobody'}`;
  if (!Array.isArray(endpoints)) return 'has no endpoints';
  const addresses = endpoints.filter((item): item is string => typeof item === 'string' && item !== '');
  if (addresses.length === 0) return 'has no address';
  if (addresses.length > maxAddresses) return `has more than ${maxAddresses} addresses`;
  const labels = labelsOf(raw.metadata);
  if (labels.size > maxLabels) return `has more than ${maxLabels} labels`;
  const take = (label: (typeof instanceLabels)[number]): string => {
    const text = labels.get(label) ?? '';
    labels.delete(label);
    return text;
  };
  // Of somebody else's making: a status that is none of ours stays a label.
  const waiting = labels.get('status') === 'waiting';
  if (waiting) labels.delete('status');
  return {
    id,
    service: expected.service,
    hostname: take('hostname'),
    addresses,
    version: typeof version === 'string' ? version : '',
    zone: take('zone'),
    env: take('env'),
    region: take('region'),
    weight: weightOf(take('weight')),
    status: waiting ? 'waiting' : 'up',
    // Without a prototype: names of labels are anybody's.
    metadata: Object.assign(Object.create(null), Object.fromEntries(labels)),
  };
}

function labelsOf(metadata: unknown): Map<string, string> {
  if (typeof metadata !== 'object' || metadata === null) return new Map();
  return new Map(
    Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** A weight that is none counts as the usual one: it is no reason to lose an instance. */
function weightOf(text: string): number {
  const weight = Number(text || Number.NaN);
  return weight >= 0 && Number.isFinite(weight) ? weight : usualWeight;
}
