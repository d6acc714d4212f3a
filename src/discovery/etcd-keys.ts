import type { ServiceInstance } from './instance.js';

/** Under which key kratos keeps instances, and reads them: `<namespace>/<service>/<id>`. */
export function keyOf(namespace: string, { service, id }: ServiceInstance): string {
  return `${prefixOf(namespace, service)}${id}`;
}

/** With the slash at the end: without it the instances of `users` would be among those of `user`. */
export function prefixOf(namespace: string, service: string): string {
  return `${namespace}/${service}/`;
}

/** A key as the gateway takes it. */
export function encoded(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/** A key or value as the gateway gives it; undefined when it is not even a text. */
export function decoded(value: unknown): string | undefined {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined;
}

/** All keys that begin like this, as etcd has it: from here up to, and without, the end. */
export function rangeOf(prefix: string): { readonly key: string; readonly range_end: string } {
  const end = Buffer.from(prefix, 'utf8');
  // The last byte is a slash, so that nothing is carried over.
  end[end.length - 1] = (end[end.length - 1] as number) + 1;
  return { key: encoded(prefix), range_end: end.toString('base64') };
}
