import type { Call } from './call.js';
import { checkMetadataText, type MetadataKey } from './metadata-key.js';
import { Allowance, type MetadataLimits } from './metadata-limits.js';
import { trustedPeer } from './trust.js';

/** Which metadata of inbound calls is taken, and what each call has besides. */
export interface AcceptedMetadata extends MetadataLimits {
  /** What travels on. */
  readonly globalPrefixes: readonly string[];
  /** What ends here. */
  readonly localPrefixes: readonly string[];
  /** What each call has. */
  readonly constants: ReadonlyMap<string, string>;
}

type Entry = readonly [name: string, value: string];
const none: readonly Entry[] = [];

const beginsWith = (name: string, prefixes: readonly string[]): boolean =>
  prefixes.some((prefix) => name.startsWith(prefix));

/** The metadata of one inbound call. Looked for in its headers at the first question, and only once. */
export class InboundMetadata {
  /** What the handler set, for every call that is made on behalf of this one. */
  given: Map<string, string> | undefined = undefined;
  private received: ReadonlyMap<string, string> | undefined = undefined;
  private global: readonly Entry[] = none;

  constructor(
    private readonly call: Call,
    private readonly settings: AcceptedMetadata,
  ) {}

  /** What came in and travels on. */
  get flowing(): readonly Entry[] {
    this.all();
    return this.global;
  }
  get<T>(key: MetadataKey<T>): T | undefined {
    return parsed(key, this.given?.get(key.name) ?? this.all().get(key.name));
  }
  set<T>(key: MetadataKey<T>, value: T): void {
    const text = formatted(key, value);
    this.given ??= new Map();
    this.given.set(key.name, text);
  }

  private all(): ReadonlyMap<string, string> {
    this.received ??= this.read();
    return this.received;
  }

  private read(): ReadonlyMap<string, string> {
    const { call, settings } = this;
    const all = new Map(settings.constants);
    if (call.values.get(trustedPeer) === true) {
      const allowance = new Allowance(settings);
      for (const name of call.headers.keys()) {
        if (all.has(name) || !this.isMetadata(name)) continue;
        const value = call.headers.get(name);
        if (value !== undefined && allowance.take(name, value)) all.set(name, value);
      }
    }
    if (all.size > 0) this.global = [...all].filter(([name]) => beginsWith(name, settings.globalPrefixes));
    return all;
  }

  private isMetadata(name: string): boolean {
    const { globalPrefixes, localPrefixes } = this.settings;
    return beginsWith(name, globalPrefixes) || beginsWith(name, localPrefixes);
  }
}

/** Reads a value; what a peer sent and the key cannot make sense of is as if it were not there. */
export function parsed<T>(key: MetadataKey<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return key.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes a value. @throws TypeError for one that cannot be carried */
export function formatted<T>(key: MetadataKey<T>, value: T): string {
  return checkMetadataText(`metadata "${key.name}"`, key.format(value));
}
