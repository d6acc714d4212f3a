import type { ServerLoad } from '../core/outcome.js';

/**
 * Response header by which a server tells its load: a dictionary of RFC 9651 with the members `cpu` (of what the process
 * may use; 0 idle, 1 saturated), `inflight` (calls) and `backlog` (milliseconds that work waits before a new call would
 * start). Each may be absent: `x-keelson-load: cpu=0.42, inflight=17, backlog=3`.
 */
export const loadHeader = 'x-keelson-load';

/** Nobody is believed beyond this: a report may lie, and must not break what is computed from it. */
const most = { cpu: 1, inflight: 1_000_000, backlog: 600_000 } as const;

/** Anything longer is none of ours. */
const longest = 200;

const decimal = /^\d{1,12}(\.\d{1,12})?$/;

/**
 * Reads the load header. What is no number of the expected kind is left out, what is out of range is brought into it,
 * members that are not known are passed over.
 *
 * @returns `undefined` when nothing in it can be used
 */
export function parseLoad(value: string | null | undefined): ServerLoad | undefined {
  if (value === null || value === undefined || value.length > longest) return undefined;
  let cpuRatio: number | undefined;
  let inflight: number | undefined;
  let backlogMs: number | undefined;
  for (const member of value.split(',')) {
    const equals = member.indexOf('=');
    const text = member.slice(equals + 1).trim();
    if (equals < 0 || !decimal.test(text)) continue;
    const number = Number(text);
    const name = member.slice(0, equals).trim();
    if (name === 'cpu') cpuRatio = Math.min(number, most.cpu);
    else if (name === 'inflight') inflight = Math.min(Math.floor(number), most.inflight);
    else if (name === 'backlog') backlogMs = Math.min(number, most.backlog);
  }
  if (cpuRatio === undefined && inflight === undefined && backlogMs === undefined) return undefined;
  return {
    ...(cpuRatio === undefined ? undefined : { cpuRatio }),
    ...(inflight === undefined ? undefined : { inflight }),
    ...(backlogMs === undefined ? undefined : { backlogMs }),
  };
}

function within(value: number | undefined, max: number): value is number {
  return value !== undefined && value >= 0 && value <= max;
}

/** At most three decimals, and never an exponent. */
function short(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}

/** Writes the load header. What is out of range is left out: better no word than a wrong one. */
export function formatLoad(load: ServerLoad): string {
  const members: string[] = [];
  if (within(load.cpuRatio, most.cpu)) members.push(`cpu=${short(load.cpuRatio)}`);
  if (within(load.inflight, most.inflight)) members.push(`inflight=${Math.floor(load.inflight)}`);
  if (within(load.backlogMs, most.backlog)) members.push(`backlog=${short(load.backlogMs)}`);
  return members.join(', ');
}
