import type { ServerLoad } from '../core/outcome.js';

/**
 * Response header by which a server tells its load, in trailers of gRPC under the same name: a dictionary of RFC 9651,
 * whose members are decimals.
 *
 * | member | meaning | range |
 * | --- | --- | --- |
 * | `cpu` | of what the process may use: 0 idle, 1 saturated | 0 to 1 |
 * | `inflight` | calls in flight | whole, to a million |
 * | `backlog` | how long work waits before a new call would start; milliseconds | to ten minutes |
 * | `service` | what one call occupies its thread for, on average; milliseconds | to ten minutes |
 * | `rate` | calls finished lately, of all clients; per second | to ten million |
 * | `errors` | those of them that failed; per second | to ten million |
 * | `admit` | share of the calls of default priority that was let in lately; absent while none is refused | 0 to 1 |
 *
 * Each may be absent, others may be added: `x-keelson-load: cpu=0.42, inflight=17, backlog=3.2, service=2.9, rate=310`.
 */
export const loadHeader = 'x-keelson-load';

type Mutable = { -readonly [Field in keyof ServerLoad]: ServerLoad[Field] };

/** What a member is called here, and its highest: a report may lie, and must not break what is computed from it. */
interface Member {
  readonly name: string;
  readonly field: keyof ServerLoad;
  readonly most: number;
}

const members: readonly Member[] = [
  { name: 'cpu', field: 'cpuRatio', most: 1 },
  { name: 'inflight', field: 'inflight', most: 1_000_000 },
  { name: 'backlog', field: 'backlogMs', most: 600_000 },
  { name: 'service', field: 'serviceMs', most: 600_000 },
  { name: 'rate', field: 'perSecond', most: 10_000_000 },
  { name: 'errors', field: 'errorsPerSecond', most: 10_000_000 },
  { name: 'admit', field: 'admitRatio', most: 1 },
];

/** Anything longer is none of ours. */
const longest = 300;
/** Digits before the point, and after it. */
const digits = 12;

/** Puts a number into a load, brought into its range. @returns whether it was one */
function take(load: Mutable, { field, most }: Member, value: number): boolean {
  if (!(value >= 0)) return false;
  const bounded = value > most ? most : value;
  load[field] = field === 'inflight' ? Math.floor(bounded) : bounded;
  return true;
}

/** A load that somebody else's report tells of, each number brought into its range; `undefined` if it tells nothing. */
export function boundedLoad(told: ServerLoad): ServerLoad | undefined {
  const load: Mutable = {};
  let any = false;
  for (const member of members) any = take(load, member, told[member.field] ?? Number.NaN) || any;
  return any ? load : undefined;
}

const space = 32;
const point = 46;
const zero = 48;
const powers = Array.from({ length: digits + 1 }, (_, power) => 10 ** power);

/**
 * A decimal without sign and exponent, between blanks; `NaN` for anything else. By hand, for each answer of each server is
 * read: a slice and `Number` for each member take three times as long.
 */
function decimal(text: string, from: number, to: number): number {
  let [at, end] = [from, to];
  while (text.charCodeAt(at) === space) at++;
  while (end > at && text.charCodeAt(end - 1) === space) end--;
  let value = 0;
  let whole = 0;
  let fraction = -1;
  for (; at < end; at++) {
    const digit = text.charCodeAt(at) - zero;
    if (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      if (fraction < 0) whole++;
      else fraction++;
    } else if (digit === point - zero && fraction < 0) fraction = 0;
    else return Number.NaN;
  }
  if (whole < 1 || whole > digits || fraction === 0 || fraction > digits) return Number.NaN;
  return fraction < 0 ? value : value / (powers[fraction] as number);
}

/** Whose name stands there, between blanks. */
function memberAt(text: string, from: number, to: number): Member | undefined {
  let [at, end] = [from, to];
  while (text.charCodeAt(at) === space) at++;
  while (end > at && text.charCodeAt(end - 1) === space) end--;
  for (const member of members)
    if (member.name.length === end - at && text.startsWith(member.name, at)) return member;
  return undefined;
}

/**
 * Reads the load header. What is no number of the expected kind is left out, what is out of range is brought into it,
 * members that are not known are passed over, of two with one name the later counts.
 *
 * @returns `undefined` when nothing in it can be used
 */
export function parseLoad(value: string | null | undefined): ServerLoad | undefined {
  if (value === null || value === undefined || value.length > longest) return undefined;
  const load: Mutable = {};
  let any = false;
  for (let from = 0; from < value.length; ) {
    const comma = value.indexOf(',', from);
    const end = comma < 0 ? value.length : comma;
    const equals = value.indexOf('=', from);
    // Where there is none in this member there may be one in the next.
    const member = equals > from && equals < end ? memberAt(value, from, equals) : undefined;
    if (member !== undefined) any = take(load, member, decimal(value, equals + 1, end)) || any;
    from = end + 1;
  }
  return any ? load : undefined;
}

/** At most three decimals, and never an exponent. */
function short(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}

/** Writes the load header. What is out of range is left out: better no word than a wrong one. */
export function formatLoad(load: ServerLoad): string {
  let text = '';
  for (const { name, field, most } of members) {
    const value = load[field];
    if (value === undefined || !(value >= 0 && value <= most)) continue;
    if (text !== '') text += ', ';
    text += `${name}=${field === 'inflight' ? Math.floor(value) : short(value)}`;
  }
  return text;
}
