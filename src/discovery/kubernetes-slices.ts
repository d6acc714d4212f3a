import { parseAddress } from './address.js';
import type { ServiceInstance } from './instance.js';

/** Which of what a service has is meant. */
export interface SliceChoice {
  readonly service: string;
  /** Name of the port; undefined for the one of each scheme. */
  readonly port: string | undefined;
  /** Scheme of ports whose name tells none. */
  readonly scheme: string;
  /** Which address of a pod that has both. */
  readonly family: 'IPv4' | 'IPv6';
  /** Zone for which the control plane's hints are followed; undefined to follow none. */
  readonly zone: string | undefined;
}

/** Instances, and for what was left out why. */
export interface SliceList {
  readonly instances: readonly ServiceInstance[];
  readonly skipped: readonly string[];
}

type Fields = { readonly [field: string]: unknown };

/** Whether a value is an object with members. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}
function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : [];
}
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

const usualWeight = 100;
const schemes: readonly string[] = ['http', 'https', 'grpc', 'grpcs'];

/** One endpoint of one slice. */
interface Member {
  /** The pod, or else the address. */
  readonly id: string;
  readonly family: string;
  readonly host: string;
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly zone: string;
  /** Zones that are to use it; undefined where the control plane has no opinion. */
  readonly forZones: readonly string[] | undefined;
  readonly hostname: string;
}

interface Port {
  readonly name: string;
  readonly port: number;
  readonly scheme: string;
}

/** The instances that all slices of a service make together. */
export function instancesOf(slices: Iterable<unknown>, choice: SliceChoice): SliceList {
  const skipped = new Set<string>();
  const members = new Map<string, Member[]>();
  for (const slice of slices) {
    for (const member of membersOf(fieldsOf(slice), choice, skipped)) {
      const known = members.get(member.id);
      if (known) known.push(member);
      else members.set(member.id, [member]);
    }
  }
  const chosen = [...members.values()].map((same) => preferred(same, choice.family));
  const taken = nearest(takesTraffic(chosen), choice.zone);
  return { instances: taken.map((member) => instanceOf(member, choice.service)), skipped: [...skipped] };
}

function membersOf(slice: Fields, choice: SliceChoice, skipped: Set<string>): Member[] {
  const family = textOf(slice['addressType']);
  const ports = portsOf(slice, choice, skipped);
  if (ports.length === 0) return [];
  return listOf(slice['endpoints']).flatMap((endpoint) => {
    // Of several the others have no defined meaning.
    const address = Array.isArray(endpoint['addresses']) ? textOf(endpoint['addresses'][0]) : '';
    if (address === '') {
      skipped.add('an endpoint has no address');
      return [];
    }
    const host = family === 'IPv6' ? `[${address}]` : address;
    const addresses = ports.map(({ scheme, port }) => `${scheme}://${host}:${port}`);
    const wrong = addresses.map(parseAddress).find((parsed) => typeof parsed === 'string');
    if (wrong !== undefined) {
      skipped.add(`an address ${wrong}`);
      return [];
    }
    return [{ ...stateOf(endpoint, address), family, host: address, addresses }];
  });
}

function stateOf(endpoint: Fields, address: string): Omit<Member, 'family' | 'host' | 'addresses'> {
  const { ready, serving } = fieldsOf(endpoint['conditions']);
  const target = fieldsOf(endpoint['targetRef']);
  const { forZones } = fieldsOf(endpoint['hints']);
  // What is not said counts as yes.
  const isReady = ready !== false;
  return {
    id: textOf(target['uid']) || address,
    ready: isReady,
    serving: typeof serving === 'boolean' ? serving : isReady,
    zone: textOf(endpoint['zone']),
    forZones: Array.isArray(forZones) ? listOf(forZones).map(({ name }) => textOf(name)) : undefined,
    hostname: textOf(target['name']) || textOf(endpoint['hostname']) || address,
  };
}

/** Of a service with several ports of one scheme, none can be told to be meant. */
function portsOf(slice: Fields, { port, scheme }: SliceChoice, skipped: Set<string>): Port[] {
  const all = listOf(slice['ports']).flatMap((given): Port[] => {
    const { port: number } = given;
    const protocol = textOf(given['protocol']) || 'TCP';
    if (typeof number !== 'number' || protocol !== 'TCP') return [];
    const name = textOf(given['name']);
    return [{ name, port: number, scheme: schemeOf(name, textOf(given['appProtocol'])) }];
  });
  if (port !== undefined) {
    const named = all.filter(({ name }) => name === port);
    if (named.length === 0) skipped.add(`a slice has no port named ${port}`);
    return named.map((given) => ({ ...given, scheme: given.scheme || scheme }));
  }
  // The only one there is needs no name.
  const known = all.length === 1 ? all.map((given) => ({ ...given, scheme: given.scheme || scheme })) : all;
  return schemes.flatMap((wanted) => {
    const candidates = known.filter((given) => given.scheme === wanted);
    const exact = candidates.filter(({ name }) => name === wanted);
    if (candidates.length <= 1 || exact.length === 1) return exact.length === 1 ? exact : candidates;
    const names = candidates.map(({ name }) => name).join(', ');
    skipped.add(`ports ${names} are all ${wanted}: one of them has to be chosen by "ports"`);
    return [];
  });
}

/** `appProtocol`, else the first part of the name, as others read it: `grpc-api`. */
function schemeOf(name: string, appProtocol: string): string {
  const [first = ''] = name.split('-');
  return [appProtocol.toLowerCase(), first].find((scheme) => schemes.includes(scheme)) ?? '';
}

/** One of the slices that list the same pod: those of both families, and for a moment two of one. */
function preferred(same: readonly Member[], family: string): Member {
  const own = same.filter((member) => member.family === family);
  const among = own.length > 0 ? own : same;
  return among.find(({ ready }) => ready) ?? (among[0] as Member);
}

/** The ready ones; when there are none, those that are ending and still serve: better than nobody. */
function takesTraffic(members: readonly Member[]): readonly Member[] {
  const ready = members.filter((member) => member.ready);
  return ready.length > 0 ? ready : members.filter((member) => member.serving);
}

/**
 * Those that the control plane has set apart for a zone. Only where it has for all: hints that are half written would
 * leave some without traffic; and not when the zone would be left with nobody.
 */
function nearest(members: readonly Member[], zone: string | undefined): readonly Member[] {
  if (zone === undefined || !members.every(({ forZones }) => forZones !== undefined)) return members;
  const near = members.filter(({ forZones }) => forZones?.includes(zone));
  return near.length > 0 ? near : members;
}

function instanceOf(member: Member, service: string): ServiceInstance {
  const { id, addresses, zone, hostname } = member;
  return {
    id,
    service,
    hostname,
    addresses,
    version: '',
    zone,
    env: '',
    region: '',
    weight: usualWeight,
    status: 'up',
    metadata: {},
  };
}
