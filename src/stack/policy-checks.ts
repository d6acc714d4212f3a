import type { Gate } from '../core/gate.js';
import { type Bounds, resolveOptions } from '../core/options.js';

/**
 * Checks options that are handed on in parts: every one is known, numbers are in range, switches are booleans.
 *
 * @param owner - name of the factory, for messages
 * @param known - one entry for every option that exists
 * @throws TypeError or RangeError that names the option
 */
export function checkOptions(
  owner: string,
  { known, bounds }: { readonly known: object; readonly bounds?: Bounds<Record<string, unknown>> },
  given: object | undefined,
): void {
  const table = known as Record<string, unknown>;
  resolveOptions<Record<string, unknown>>(owner, table, given as Record<string, unknown> | undefined, bounds);
}

function checkList(field: string, list: unknown, what: string, good: (entry: unknown) => boolean): void {
  if (list === undefined) return;
  if (!Array.isArray(list)) throw new TypeError(`${field} must be an array, got ${String(list)}`);
  const at = list.findIndex((entry) => !good(entry));
  if (at >= 0) throw new TypeError(`${field}[${at}] must be ${what}, got ${String(list[at])}`);
}

/** @throws TypeError when one is no gate */
export function checkGates(field: string, gates: readonly Gate[] | undefined): void {
  checkList(field, gates, 'a gate', (gate) => typeof (gate as Gate | null)?.tryAcquire === 'function');
}

/** @throws TypeError when one is no middleware */
export function checkMiddlewares(field: string, use: readonly unknown[] | undefined): void {
  checkList(field, use, 'a middleware', (middleware) => typeof middleware === 'function');
}

/** Lays options over others; `undefined` counts as not given. */
export function overlay<Options extends object>(base: Options | undefined, over: Options): Options {
  const given = Object.entries(over).filter(([, value]) => value !== undefined);
  return { ...base, ...(Object.fromEntries(given) as Options) };
}
