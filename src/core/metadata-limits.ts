import { aboutOption } from './in-name-of.js';
import { checkMetadataName, checkMetadataText, isPortable } from './metadata-key.js';

/** Metadata that was left out. */
export interface MetadataDrop {
  /** Why: too many entries, too many characters, or a value that cannot be carried. */
  readonly reason: 'entries' | 'bytes' | 'value';
  /** Which entry. */
  readonly name: string;
}

/** What bounds metadata, and who is told of what is left out. */
export interface MetadataLimits {
  /** Most entries. */
  readonly maxEntries: number;
  /** Most characters, names and values together. */
  readonly maxBytes: number;
  /** Told of what is left out. */
  readonly onDrop: (drop: MetadataDrop) => void;
}

/** Ranges of the limits. */
export const metadataBounds = {
  maxEntries: { min: 0, integer: true },
  maxBytes: { min: 0, integer: true },
} as const;

/** Tells of the first entry that is left out for each reason, and no more: it would be told again with each call. */
export function toldOnce(onDrop: (drop: MetadataDrop) => unknown): (drop: MetadataDrop) => void {
  const told = new Set<string>();
  return (drop) => {
    if (told.has(drop.reason)) return;
    told.add(drop.reason);
    try {
      const result = onDrop(drop);
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // A listener has no say in what becomes of the call.
    }
  };
}

/** What is left of the limits while the metadata of one message is put together. */
export class Allowance {
  private entries = 0;
  private bytes = 0;

  constructor(private readonly limits: MetadataLimits) {}

  /** Whether an entry may go along; it then counts. */
  take(name: string, value: string): boolean {
    const reason = this.against(name, value);
    if (reason !== undefined) {
      this.limits.onDrop({ reason, name });
      return false;
    }
    this.entries++;
    this.bytes += name.length + value.length;
    return true;
  }

  private against(name: string, value: string): MetadataDrop['reason'] | undefined {
    const { maxEntries, maxBytes } = this.limits;
    if (this.entries >= maxEntries) return 'entries';
    if (this.bytes + name.length + value.length > maxBytes) return 'bytes';
    return isPortable(value) ? undefined : 'value';
  }
}

/**
 * Reads a record of metadata that the program itself names.
 *
 * @throws TypeError for a name or a value that cannot be carried
 */
export function constantsOf(
  field: string,
  given: Readonly<Record<string, string>>,
): ReadonlyMap<string, string> {
  if (typeof given !== 'object' || given === null)
    throw aboutOption(new TypeError(`${field} must be an object, got ${String(given)}`));
  return new Map(
    Object.entries(given).map(([name, value]) => [
      checkMetadataName(`${field}: name`, name),
      checkMetadataText(`${field}["${name}"]`, value),
    ]),
  );
}
