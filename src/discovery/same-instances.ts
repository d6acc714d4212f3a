import type { ServiceInstance } from './instance.js';

function sameLabels(a: ServiceInstance['metadata'], b: ServiceInstance['metadata']): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
  );
}

function sameInstance(a: ServiceInstance, b: ServiceInstance): boolean {
  return (
    a.id === b.id &&
    a.service === b.service &&
    a.hostname === b.hostname &&
    a.version === b.version &&
    a.zone === b.zone &&
    a.env === b.env &&
    a.region === b.region &&
    a.weight === b.weight &&
    a.status === b.status &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every((address, at) => address === b.addresses[at]) &&
    sameLabels(a.metadata, b.metadata)
  );
}

/** Whether two lists say the same. Both have to be in the order of their ids. */
export function sameInstances(a: readonly ServiceInstance[], b: readonly ServiceInstance[]): boolean {
  return (
    a.length === b.length &&
    a.every((instance, at) => {
      const other = b[at];
      return other !== undefined && sameInstance(instance, other);
    })
  );
}

/** The order in which lists are kept and compared: servers give none. */
export function byId(a: ServiceInstance, b: ServiceInstance): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
