import { parseAddress } from './address.js';
import { idLabel } from './discovery-wire.js';
import type { ServiceInstance } from './instance.js';
import { kratosMetadata, readInstance } from './kratos-instance.js';

/** Where instances are in Nacos. */
export interface NacosPlace {
  readonly namespace: string;
  readonly group: string;
  readonly cluster: string;
}

/** Labels of kratos that stand for the scheme and the version. */
const kindLabel = 'kind';
const versionLabel = 'version';
/** Where everything is that names no cluster. */
export const usualCluster = 'DEFAULT';
/** Largest weight that Nacos takes. */
const maxWeight = 10_000;
/** What an instance of somebody else has for 1, which is Nacos' usual. */
const perUnit = 100;

/** One address of an instance, as Nacos keeps it. */
export interface NacosEntry {
  /** `<service>.<scheme>`. */
  readonly name: string;
  readonly ip: string;
  readonly port: string;
}

/** Nacos knows no instances with several addresses: as kratos, one is kept for each, by its scheme. */
export function entriesOf(instance: ServiceInstance): NacosEntry[] {
  const entries = instance.addresses.map((address) => {
    const parsed = parseAddress(address);
    if (typeof parsed === 'string') throw new TypeError(`address ${address} ${parsed}`);
    const { scheme, url } = parsed;
    const { hostname, port } = new URL(`http://${url.slice(scheme.length + 3)}`);
    const ip = hostname.replace(/^\[|\]$/g, '');
    return { name: `${instance.service}.${scheme}`, ip, port: port || (scheme === 'https' ? '443' : '80') };
  });
  return [...new Map(entries.map((entry) => [JSON.stringify(entry), entry])).values()];
}

/** What names an entry to a server. */
export function entryForm(entry: NacosEntry, place: NacosPlace, api: 'v1' | 'v3'): URLSearchParams {
  const { name, ip, port } = entry;
  const form = listForm(name, place, api);
  form.set('ip', ip);
  form.set('port', port);
  form.set('clusterName', place.cluster);
  form.set('ephemeral', 'true');
  return form;
}

/** Everything a server stores of an entry, with the labels of kratos. */
export function registrationForm(
  instance: ServiceInstance,
  entry: NacosEntry,
  { place, api }: { readonly place: NacosPlace; readonly api: 'v1' | 'v3' },
): URLSearchParams {
  const form = entryForm(entry, place, api);
  const labels = kratosMetadata(instance);
  labels[kindLabel] = entry.name.slice(instance.service.length + 1);
  labels[versionLabel] = instance.version;
  // So that its addresses are one instance again.
  labels[idLabel] = instance.id;
  form.set('weight', String(Math.min(maxWeight, Math.max(0, instance.weight))));
  // Who is not enabled is registered, and not found.
  form.set('enabled', String(instance.status === 'up'));
  form.set('healthy', 'true');
  form.set('metadata', JSON.stringify(labels));
  return form;
}

/** What names a list to a server: that of all clusters, of which we prefer one by its zone if at all. */
export function listForm(
  name: string,
  { namespace, group }: Omit<NacosPlace, 'cluster'>,
  api: 'v1' | 'v3',
): URLSearchParams {
  // Of v1, some versions take the group only as a part of the name.
  const serviceName = api === 'v1' ? `${group}@@${name}` : name;
  const form = new URLSearchParams({ serviceName, groupName: group });
  if (namespace !== '') form.set('namespaceId', namespace);
  return form;
}

type Fields = { readonly [field: string]: unknown };

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/**
 * Reads a list in the form of either API.
 *
 * @throws SyntaxError when it is not JSON, TypeError when it is no list
 */
export function readHosts(text: string): readonly unknown[] {
  const answer: unknown = JSON.parse(text);
  const fields = fieldsOf(answer);
  // v1 answers `{hosts: […]}`, v3 `{code: 0, data: […]}`.
  const list = fields?.['hosts'] ?? fields?.['data'];
  const code = fields?.['code'];
  if (typeof code === 'number' && code !== 0 && code !== 200) throw new TypeError(`code ${code}`);
  if (!Array.isArray(list)) throw new TypeError('the answer is no list');
  return list;
}

/** What is expected of a host. */
export interface ExpectedHost {
  readonly service: string;
  /** Scheme of hosts that tell none; empty for `http`. */
  readonly scheme: string;
}

/**
 * Reads one host; undefined for one that takes no traffic.
 *
 * @returns the instance with this one address, or in a few words why it is none
 */
export function readHost(value: unknown, expected: ExpectedHost): ServiceInstance | string | undefined {
  const host = fieldsOf(value);
  if (!host) return 'is not an object';
  if (host['healthy'] === false || host['enabled'] === false) return undefined;
  const { ip, port } = host;
  if (typeof ip !== 'string' || ip === '' || typeof port !== 'number') return 'has no ip and port';
  const metadata: Record<string, unknown> = Object.assign(Object.create(null), fieldsOf(host['metadata']));
  const { [kindLabel]: kind, [versionLabel]: version, [idLabel]: id, ...labels } = metadata;
  const scheme = typeof kind === 'string' && kind !== '' ? kind : expected.scheme || 'http';
  const weight = weightOf(host['weight'], typeof kind === 'string');
  const place = `${ip.includes(':') ? `[${ip}]` : ip}:${port}`;
  return readInstance(
    {
      id: typeof id === 'string' && id !== '' ? id : `${ip}#${port}#${String(host['clusterName'] ?? '')}`,
      name: expected.service,
      version,
      metadata: { ...weight, ...zoneOf(host['clusterName']), hostname: place, ...labels },
      endpoints: [`${scheme}://${place}`],
    },
    { service: expected.service },
  );
}

/** kratos and we count in hundreds, everybody else from 1. */
function weightOf(weight: unknown, ours: boolean): { weight?: string } {
  if (typeof weight !== 'number' || !(weight >= 0)) return {};
  return { weight: String(ours ? weight : weight * perUnit) };
}

/** A cluster is what Nacos has for a zone. */
function zoneOf(cluster: unknown): { zone?: string } {
  return typeof cluster === 'string' && cluster !== usualCluster ? { zone: cluster } : {};
}

/** Instances of one id are one, with the addresses of all. */
export function joined(instances: readonly ServiceInstance[]): ServiceInstance[] {
  const found = new Map<string, ServiceInstance>();
  for (const instance of instances) {
    const known = found.get(instance.id);
    const addresses = [...new Set([...(known?.addresses ?? []), ...instance.addresses])];
    found.set(instance.id, { ...(known ?? instance), addresses });
  }
  return [...found.values()];
}
