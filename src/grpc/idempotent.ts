import { aboutOption } from '../core/in-name-of.js';
/** Which methods may be sent twice: all or none, those of a list, or those that a function names. */
export type IdempotentMethods = boolean | readonly string[] | ((path: string) => boolean);

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function listed(methods: readonly string[]): (path: string) => boolean {
  for (const method of methods) {
    if (typeof method !== 'string' || method === '')
      throw aboutOption(
        new TypeError(`governedChannel.idempotent must list methods by name, got ${String(method)}`),
      );
  }
  const known = new Set(methods);
  return (path) => known.has(path) || known.has(nameOf(path));
}

/**
 * Makes the question once, so that a call only asks it.
 *
 * @throws TypeError for what names no methods
 */
export function idempotentBy(methods: IdempotentMethods): (path: string) => boolean {
  if (typeof methods === 'function') return (path) => methods(path) === true;
  if (typeof methods === 'boolean') return () => methods;
  if (Array.isArray(methods)) return listed(methods as readonly string[]);
  throw aboutOption(
    new TypeError(
      `governedChannel.idempotent must be a boolean, a list or a function, got ${String(methods)}`,
    ),
  );
}
