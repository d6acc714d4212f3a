import type { InstanceId } from './instance-id.js';
import type { InstanceStatus } from './instance-record.js';
import { maxNs } from './instant.js';
import type { RegistryLimits } from './limits.js';
import type { Params } from './params.js';
import { badRequest, limitExceeded } from './refused.js';

const maxUint32 = 2n ** 32n - 1n;
const truths = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
// A name that breaks lines could forge log lines of whoever prints it.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f]/;
/** Commas part addresses only where another one begins: a scheme follows. */
const addrComma = /,(?=[a-zA-Z][a-zA-Z0-9+.-]*:\/\/)/;

/** Reads the protocol's parameters with their types and bounds. Whatever is wrong throws {@link Refused}. */
export class Fields {
  constructor(
    private readonly params: Params,
    readonly limits: RegistryLimits,
  ) {}

  /** The first value; empty when absent. */
  raw(name: string): string {
    return this.params.get(name)?.[0] ?? '';
  }

  /** All values but empty ones, as the original does. */
  all(name: string): readonly string[] {
    return (this.params.get(name) ?? []).filter((value) => value !== '');
  }

  name(name: string): string {
    return this.checkName(name, this.raw(name));
  }

  required(name: string): string {
    const value = this.name(name);
    if (value === '') throw badRequest(`${name}: is required`);
    return value;
  }

  /**
   * Apps, bounded; repeated ones are left in, for timestamps are matched by position.
   *
   * Clients older than version 1.1.2 of the original join both lists by commas. Only timestamps tell, a name may hold one.
   */
  appids(): readonly string[] {
    const { appsPerRequest } = this.limits;
    const joined = this.raw('latest_timestamp').includes(',');
    const appids = joined ? split(this.all('appid')) : this.all('appid');
    if (appids.length > appsPerRequest)
      throw limitExceeded(`appid: ${appsPerRequest} in one request at most`);
    if (appids.length === 0) throw badRequest('appid: is required');
    return appids.map((value) => this.checkName('appid', value));
  }

  app(): { readonly zone: string; readonly env: string; readonly appid: string } {
    const zone = this.required('zone');
    const env = this.required('env');
    return { zone, env, appid: this.required('appid') };
  }

  id(): InstanceId {
    return { ...this.app(), hostname: this.required('hostname') };
  }

  flag(name: string): boolean {
    return truths.has(this.raw(name));
  }

  /** Nanoseconds; `undefined` when absent or 0. */
  timestamp(name: string): bigint | undefined {
    const value = this.integer(name, this.raw(name), maxNs);
    return value === 0n ? undefined : value;
  }

  timestamps(name: string): readonly bigint[] {
    return split(this.all(name)).map((value) => this.integer(name, value, maxNs));
  }

  status(): InstanceStatus {
    const value = this.raw('status');
    if (value === '' || value === '0') throw badRequest('status: is required');
    return checkStatus(value);
  }

  statuses(): readonly InstanceStatus[] {
    return this.all('status').map(checkStatus);
  }

  /** Bits of the statuses wanted. */
  filter(): number {
    const value = this.integer('status', this.raw('status'), maxUint32);
    if (value <= 0n) throw badRequest('status: is required, a sum of 1 (up) and 2 (waiting)');
    return Number(value & 3n);
  }

  addrs(): readonly string[] {
    const { addrs: most, addrLength } = this.limits;
    const addrs = this.all('addrs').flatMap((value) => value.split(addrComma));
    if (addrs.length === 0) throw badRequest('addrs: is required');
    if (addrs.length > most) throw limitExceeded(`addrs: ${addrs.length}, ${most} at most`);
    for (const addr of addrs) {
      if (addr.length > addrLength) throw limitExceeded(`addrs: one has more than ${addrLength} characters`);
      if (control.test(addr)) throw badRequest('addrs: one holds a control character');
    }
    return addrs;
  }

  private checkName(name: string, value: string): string {
    const { nameLength } = this.limits;
    if (value.length > nameLength) throw limitExceeded(`${name}: more than ${nameLength} characters`);
    if (control.test(value)) throw badRequest(`${name}: holds a control character`);
    return value;
  }

  private integer(name: string, value: string, max: bigint): bigint {
    if (value === '') return 0n;
    // The length is looked at first: turning a megabyte of digits into a bigint takes seconds.
    const number = /^[+-]?\d{1,30}$/.test(value) ? BigInt(value.replace('+', '')) : max + 1n;
    if (number > max || number < -max) throw badRequest(`${name}: is not a whole number in range`);
    return number;
  }
}

function split(values: readonly string[]): readonly string[] {
  return values.flatMap((value) => value.split(',')).filter((value) => value !== '');
}

function checkStatus(value: string): InstanceStatus {
  if (value === '1') return 1;
  if (value === '2') return 2;
  throw badRequest('status: is neither 1 (up) nor 2 (waiting)');
}
