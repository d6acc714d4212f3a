import { reasonOf } from './discovery-event.js';
import type { ServiceInstance } from './instance.js';

/** What is asked of the name servers: the part of `node:dns` promises that is used. */
export interface DnsQueries {
  /** A records with their ttl in seconds. */
  resolve4(name: string, options: { ttl: true }): Promise<readonly { address: string; ttl: number }[]>;
  /** AAAA records with their ttl in seconds. */
  resolve6(name: string, options: { ttl: true }): Promise<readonly { address: string; ttl: number }[]>;
  /** SRV records, with their ttl in seconds where it is known. */
  resolveSrv(name: string): Promise<
    readonly {
      name: string;
      port: number;
      priority: number;
      weight: number;
      ttl?: number | undefined;
    }[]
  >;
}

/** One name to look up. */
export interface DnsTarget {
  readonly service: string;
  readonly scheme: string;
  readonly name: string;
  /** Empty when the records bring it, or the scheme does. */
  readonly port: string;
  readonly type: 'A' | 'AAAA' | 'SRV';
}

/** What the name servers said, or why they said nothing. */
export type DnsAnswer =
  | { readonly instances: readonly ServiceInstance[]; readonly ttlMs: number }
  | { readonly failure: string };

/** The name exists without such records, or does not exist: answers both. Everything else is a failure to answer. */
const nothingThere = new Set(['ENOTFOUND', 'ENODATA']);
const usualWeight = 100;

function instance(target: DnsTarget, host: string, port: string, weight: number): ServiceInstance {
  const place = `${host}${port === '' ? '' : `:${port}`}`;
  const address = `${target.scheme}://${place}`;
  return {
    // DNS does not tell a restart: the address is all the identity there is.
    id: address,
    service: target.service,
    // With SRV several of them may be on one host.
    hostname: target.type === 'SRV' ? place : host,
    addresses: [address],
    version: '',
    zone: '',
    env: '',
    region: '',
    weight,
    status: 'up',
    metadata: {},
  };
}

async function addresses(target: DnsTarget, queries: DnsQueries): Promise<DnsAnswer> {
  const v6 = target.type === 'AAAA';
  const options = { ttl: true } as const;
  const records = await (v6
    ? queries.resolve6(target.name, options)
    : queries.resolve4(target.name, options));
  const hosts = new Set(records.map(({ address }) => (v6 ? `[${address}]` : address)));
  return {
    instances: [...hosts].map((host) => instance(target, host, target.port, usualWeight)),
    ttlMs: shortestMs(records),
  };
}

async function services(target: DnsTarget, queries: DnsQueries): Promise<DnsAnswer> {
  // A target of "." says that the service is decidedly not there.
  const records = (await queries.resolveSrv(target.name)).filter(({ name }) => name !== '' && name !== '.');
  const best = Math.min(...records.map(({ priority }) => priority));
  const chosen = records.filter(({ priority }) => priority === best);
  // Weights of 0 all over mean "no preference"; beside others, 0 is a very small chance and not none.
  const weightless = chosen.every(({ weight }) => weight === 0);
  const byAddress = new Map(
    chosen.map(({ name, port, weight }) => {
      const host = name.replace(/\.$/, '');
      const found = instance(target, host, String(port), weightless ? usualWeight : Math.max(1, weight));
      return [found.id, found];
    }),
  );
  return { instances: [...byAddress.values()], ttlMs: shortestMs(records) };
}

function shortestMs(records: readonly { readonly ttl?: number | undefined }[]): number {
  const known = records.map(({ ttl = -1 }) => (ttl >= 0 ? ttl * 1_000 : Number.POSITIVE_INFINITY));
  return Math.min(...known, Number.POSITIVE_INFINITY);
}

/** Whether what was thrown is an answer. A resolver of the user's own may reject with anything. */
export function isNothingThere(error: unknown): boolean {
  return nothingThere.has(((error ?? {}) as NodeJS.ErrnoException).code ?? '');
}

/** Asks once. Never throws. */
export async function lookUp(target: DnsTarget, queries: DnsQueries): Promise<DnsAnswer> {
  try {
    return await (target.type === 'SRV' ? services(target, queries) : addresses(target, queries));
  } catch (error) {
    if (isNothingThere(error)) return { instances: [], ttlMs: Number.POSITIVE_INFINITY };
    return { failure: `${target.name}: ${reasonOf(error)}` };
  }
}
