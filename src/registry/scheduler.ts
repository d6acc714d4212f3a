import { type LosslessJson, parse, stringify } from '../discovery/lossless-json.js';
import { appKey } from './app-key.js';

/** How the clients of each zone are to spread their calls over zones. */
export interface Scheduler {
  /** Identity of the app. */
  readonly key: string;
  /** `{"clients":…,"remark":…}`, as clients are told it. */
  readonly json: string;
}

/** Weights above it make no difference that anybody could mean, and would overflow in clients. */
const maxWeight = 1_000_000;
const maxZones = 1_000;
const maxNameLength = 255;

type Members = { readonly [key: string]: LosslessJson };

function members(value: LosslessJson | undefined, what: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${what} must be an object`);
  const found = value as Members;
  if (Object.keys(found).length > maxZones) throw new RangeError(`${what} has more than ${maxZones} entries`);
  return found;
}

function only(value: Members, names: readonly string[], what: string): void {
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new TypeError(`${what} has ${JSON.stringify(unknown)}; there are ${names.join(', ')}`);
}

function name(value: LosslessJson | undefined, what: string): string {
  if (typeof value !== 'string' || value === '' || value.length > maxNameLength)
    throw new TypeError(`${what} must be a string of 1 to ${maxNameLength} characters`);
  return value;
}

function checkZones(source: string, value: LosslessJson): void {
  const what = `clients.${source}`;
  const strategy = members(value, what);
  only(strategy, ['zones'], what);
  for (const [zone, target] of Object.entries(members(strategy['zones'], `${what}.zones`))) {
    const at = `${what}.zones.${zone}`;
    const { weight, ...others } = members(target, at);
    only(others, [], at);
    if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > maxWeight)
      throw new RangeError(`${at}.weight must be a whole number, 0 to ${maxWeight}`);
  }
}

/**
 * Reads one scheduler file: `{"app_id":…, "env":…, "clients": {from: {"zones": {to: {"weight": n}}}}, "remark":…}`.
 *
 * @throws Error that says what is wrong with it
 *
 * Source: `registry/scheduler.go` and `model/instance.go` of bilibili/discovery. The object form of its server, which
 * clients of kratos read; not the lists of its manual.
 */
export function readScheduler(text: string): Scheduler {
  const file = members(parse(text), 'it');
  only(file, ['app_id', 'env', 'clients', 'remark'], 'it');
  const key = appKey(name(file['env'], 'env'), name(file['app_id'], 'app_id'));
  const clients = members(file['clients'], 'clients');
  for (const [source, strategy] of Object.entries(clients)) checkZones(source, strategy);
  const remark = file['remark'] ?? '';
  if (typeof remark !== 'string') throw new TypeError('remark must be a string');
  return { key, json: stringify({ clients, remark }) };
}
