import type { LosslessJson } from '../discovery/lossless-json.js';

type Members = { readonly [key: string]: LosslessJson };

/** An instance as a registry tells it, member by member. */
export type ShownInstance = Members;

export function isMembers(value: LosslessJson | undefined): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function instancesOf(value: LosslessJson | undefined): ShownInstance[] {
  return Array.isArray(value) ? value.filter((item: LosslessJson) => isMembers(item)) : [];
}

/** The instances of `/fetch/all`: lists by app. */
export function allInstances(data: LosslessJson | undefined): ShownInstance[] {
  return isMembers(data) ? Object.values(data).flatMap(instancesOf) : [];
}

/** The instances of one app: lists by zone. */
export function appInstances(info: LosslessJson | undefined): ShownInstance[] {
  const zones = isMembers(info) ? info['instances'] : undefined;
  return isMembers(zones) ? Object.values(zones).flatMap(instancesOf) : [];
}

/** One member as text; a list joined by commas; what is something else is left out. */
export function textOf(instance: ShownInstance, name: string): string {
  const value = instance[name];
  if (Array.isArray(value)) return value.filter((item: LosslessJson) => typeof item === 'string').join(',');
  return typeof value === 'object' || value === undefined ? '' : String(value);
}

/** Labels as `key=value`, joined by commas. */
function labelsOf(instance: ShownInstance): string {
  const { metadata } = instance;
  if (!isMembers(metadata)) return '';
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}

const statuses: Readonly<Record<string, string>> = { '1': 'up', '2': 'waiting' };

/** Heads of {@link instanceRow}. */
export const instanceHeads = ['APP', 'ENV', 'ZONE', 'HOSTNAME', 'STATUS', 'VERSION', 'ADDRESSES', 'METADATA'];

/** One instance as a row. */
export function instanceRow(instance: ShownInstance): readonly string[] {
  const status = textOf(instance, 'status');
  return [
    ...['appid', 'env', 'zone', 'hostname'].map((name) => textOf(instance, name)),
    statuses[status] ?? status,
    ...['version', 'addrs'].map((name) => textOf(instance, name)),
    labelsOf(instance),
  ];
}

/** By app, env, zone, host. */
export function inOrder(instances: readonly ShownInstance[]): readonly ShownInstance[] {
  const keyed = instances.map(
    (instance) => [instanceRow(instance).slice(0, 4).join('\n'), instance] as const,
  );
  return keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, instance]) => instance);
}
