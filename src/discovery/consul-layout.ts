import { parseAddress } from './address.js';
import type { ServiceInstance } from './instance.js';
import { instanceLabels, kratosMetadata, readInstance } from './kratos-instance.js';

/** What an agent is told of an instance besides. */
export interface ConsulRegistration {
  readonly tags: readonly string[];
  readonly ttlMs: number;
  readonly deregisterAfterMs: number;
}

/** Weights of Consul's own DNS answers; more than that it refuses. */
const maxWeight = 65_535;
const usualWeight = 100;
const versionTag = 'version=';

/** Name of the check that is kept alive. */
export function checkIdOf(instance: ServiceInstance): string {
  return `service:${instance.id}`;
}

/** What is sent to an agent, in the layout of kratos. */
export function consulBody(
  instance: ServiceInstance,
  { tags, ttlMs, deregisterAfterMs }: ConsulRegistration,
): string {
  const { id, service, version, weight, status } = instance;
  const [first] = instance.addresses.map((address) => placeOf(address));
  return JSON.stringify({
    ID: id,
    Name: service,
    Tags: [`${versionTag}${version}`, ...tags],
    Meta: kratosMetadata(instance),
    Address: first?.host,
    Port: first?.port,
    TaggedAddresses: Object.fromEntries(taggedAddresses(instance)),
    Weights: { Passing: Math.min(maxWeight, Math.max(1, Math.round(weight))), Warning: 1 },
    Checks: [
      {
        CheckID: checkIdOf(instance),
        TTL: seconds(ttlMs),
        // Without it, it would be out of service until the first renewal.
        Status: status === 'up' ? 'passing' : 'warning',
        DeregisterCriticalServiceAfter: seconds(deregisterAfterMs),
      },
    ],
  });
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1_000)}s`;
}

function placeOf(address: string): { host: string; port: number } {
  const parsed = parseAddress(address);
  if (typeof parsed === 'string') throw new TypeError(`address ${address} ${parsed}`);
  // As http whatever the scheme: only of its own schemes does URL tell the usual port.
  const { hostname, port } = new URL(`http://${parsed.url.slice(parsed.scheme.length + 3)}`);
  const usual = parsed.scheme === 'https' ? 443 : 80;
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || usual };
}

/** One entry for each address, by its scheme; kratos has no second of one scheme, but reads it. */
function taggedAddresses(instance: ServiceInstance): Map<string, { Address: string; Port: number }> {
  const tagged = new Map<string, { Address: string; Port: number }>();
  for (const address of instance.addresses) {
    const scheme = address.slice(0, address.indexOf(':'));
    let name = scheme;
    for (let more = 2; tagged.has(name); more++) name = `${scheme}_${more}`;
    tagged.set(name, { Address: address, Port: placeOf(address).port });
  }
  return tagged;
}

type Fields = { readonly [field: string]: unknown };

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** All instances of a service as an agent lists them, and for each that cannot be read why. */
export interface ConsulList {
  readonly instances: readonly ServiceInstance[];
  readonly skipped: readonly string[];
}

/**
 * Reads the answer of `/v1/health/service/<service>`.
 *
 * @throws SyntaxError when it is not JSON, TypeError when it is no list
 */
export function readConsulList(text: string, service: string): ConsulList {
  const entries: unknown = JSON.parse(text);
  if (!Array.isArray(entries)) throw new TypeError('the answer is not a list');
  const instances: ServiceInstance[] = [];
  const skipped: string[] = [];
  // An id is unique at its agent only.
  const times = new Map<string, number>();
  for (const entry of entries) {
    const id = textOf(fieldsOf(fieldsOf(entry)['Service'])['ID']);
    times.set(id, (times.get(id) ?? 0) + 1);
  }
  for (const entry of entries) {
    const instance = readEntry(fieldsOf(entry), service, times);
    if (typeof instance === 'string') skipped.push(`an instance ${instance}`);
    else instances.push(instance);
  }
  return { instances, skipped };
}

function readEntry(
  entry: Fields,
  service: string,
  times: ReadonlyMap<string, number>,
): ServiceInstance | string {
  const node = fieldsOf(entry['Node']);
  const its = fieldsOf(entry['Service']);
  const own = textOf(its['ID']);
  return readInstance(
    {
      id: (times.get(own) ?? 0) > 1 ? `${own}@${textOf(node['Node'])}` : own,
      name: its['Service'],
      version: versionOf(its['Tags']),
      metadata: labelsOf(its, node),
      endpoints: addressesOf(its, node),
    },
    { service },
  );
}

function versionOf(tags: unknown): string {
  const all = Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string') : [];
  // The last one, as kratos has it.
  return all.findLast((tag) => tag.startsWith(versionTag))?.slice(versionTag.length) ?? '';
}

/** The labels, and what Consul itself knows where there is none. */
function labelsOf(its: Fields, node: Fields): Record<string, unknown> {
  const locality = fieldsOf(its['Locality'] ?? node['Locality']);
  const weight = fieldsOf(its['Weights'])['Passing'];
  const known: Record<(typeof instanceLabels)[number], string> = {
    // 1 is what Consul gives to those that name none.
    weight: String(typeof weight === 'number' && weight > 1 ? weight : usualWeight),
    zone: textOf(locality['Zone']) || textOf(node['Datacenter']),
    region: textOf(locality['Region']),
    // A host may run several of them.
    hostname: `${textOf(node['Node'])}-${String(its['Port'] ?? 0)}`,
    env: '',
    status: '',
  };
  const labels: Record<string, unknown> = Object.assign(Object.create(null), fieldsOf(its['Meta']));
  for (const label of instanceLabels)
    if (known[label] !== '' && !textOf(labels[label])) labels[label] = known[label];
  return labels;
}

/** Those that kratos and we write; of services of others the one address that they have. */
function addressesOf(its: Fields, node: Fields): string[] {
  const tagged = Object.values(fieldsOf(its['TaggedAddresses']))
    .map((value) => textOf(fieldsOf(value)['Address']))
    .filter((address) => address.includes('://'));
  if (tagged.length > 0) return tagged;
  const host = textOf(its['Address']) || textOf(node['Address']);
  const port = its['Port'];
  if (host === '' || typeof port !== 'number' || port === 0) return [];
  return [`http://${host.includes(':') ? `[${host}]` : host}:${port}`];
}
