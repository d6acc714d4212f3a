import type { Gate } from '../core/gate.js';
import { aboutOption } from '../core/in-name-of.js';
import { type Bounds, resolveOptions, wrongKind } from '../core/options.js';
import type { DispatchQueue } from '../limiter/dispatch-queue.js';

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

/** @throws TypeError where the options are missing that somebody cannot do without */
export function checkGiven(owner: string, given: unknown): void {
  if (typeof given !== 'object' || given === null) throw wrongKind(`${owner}: options`, 'an object', given);
}

function checkList(field: string, list: unknown, what: string, good: (entry: unknown) => boolean): void {
  if (list === undefined) return;
  if (!Array.isArray(list)) throw wrongKind(field, 'an array', list);
  const at = list.findIndex((entry) => !good(entry));
  if (at >= 0) throw wrongKind(`${field}[${at}]`, what, list[at]);
}

function isGate(value: unknown): value is Gate {
  return typeof (value as Partial<Gate> | null | undefined)?.tryAcquire === 'function';
}

/** Whether something is a `dispatchQueue()`. */
export function isQueue(value: unknown): value is DispatchQueue {
  return typeof (value as Partial<DispatchQueue> | null | undefined)?.middleware === 'function';
}

/**
 * @param queue - what the option for a queue is called there, if there is one
 * @throws TypeError when one is no gate
 */
export function checkGates(field: string, gates: readonly Gate[] | undefined, queue?: string): void {
  checkList(field, gates, 'a gate', (gate) => {
    if (!isQueue(gate)) return isGate(gate);
    const place = queue === undefined ? 'the option `queue` of a server' : `the option \`${queue}\``;
    throw aboutOption(
      new TypeError(`${field}: a dispatchQueue() is no gate, since calls wait in it; its place is ${place}`),
    );
  });
}

/** @throws TypeError for a gate where a queue belongs */
export function checkNoGate(field: string, limits: string, value: unknown): void {
  if (!isGate(value)) return;
  throw aboutOption(
    new TypeError(`${field}: a gate is no queue, since nothing waits in it; its place is \`${limits}: […]\``),
  );
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
