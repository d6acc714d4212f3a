import { aboutOption } from '../core/in-name-of.js';
import { criteriaOf } from '../core/operation-pattern.js';
import { ofWhich } from '../core/option-names.js';
import type { Method } from './method-table.js';

/** The definitions of the services that are called; empty where nobody gave them. */
type Table = ReadonlyMap<string, Method>;

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const serviceOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);

/** A path of a service that nobody described may well exist. */
function isElsewhere(name: string, paths: readonly string[]): boolean {
  const service = serviceOf(name);
  return service !== '' && !paths.some((path) => serviceOf(path) === service);
}

/**
 * Finds slips in a list of methods, where it is known which there are.
 *
 * @param field - name of the option, for messages
 * @throws TypeError for one that no service has
 */
export function checkMethods(field: string, listed: unknown, methods: Table): void {
  if (!Array.isArray(listed) || methods.size === 0) return;
  const paths = [...methods.keys()];
  const names = paths.map(nameOf);
  for (const one of listed as readonly string[]) {
    if (methods.has(one) || names.includes(one) || isElsewhere(one, paths)) continue;
    throw aboutOption(new TypeError(`${field}: ${one} is not a method${ofWhich(nameOf(one), names)}`));
  }
}

/**
 * Finds patterns of operations that fit no method, where it is known which there are: those of gRPC are whole paths.
 *
 * @param field - name of the option, for messages
 * @throws TypeError for one that fits none
 */
export function checkPatterns(field: string, given: unknown, methods: Table): void {
  if (given === undefined || methods.size === 0) return;
  const paths = [...methods.keys()];
  for (const one of (Array.isArray(given) ? given : [given]) as readonly unknown[]) {
    if (typeof one !== 'string' && !(one instanceof RegExp)) continue;
    if (typeof one === 'string' && isElsewhere(one, paths)) continue;
    if (paths.some(criteriaOf(field, one).byName)) continue;
    throw aboutOption(
      new TypeError(`${field}: ${String(one)} fits no method; their names are ${paths.join(', ')}`),
    );
  }
}
