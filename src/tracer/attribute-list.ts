import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { cleanValue, sizeOf } from './attribute-value.js';
import { cutText } from './cut-text.js';
import type { AttributePart } from './ended-span.js';
import type { SpanLimits } from './span-limits.js';

/** A text that has to be cut to less than this is rather left out. */
const leastCut = 64;
/** Of an object of attributes so many times the names that may be kept are looked at; some may be set already. */
const lookedAt = 10;
/** Up to so many names, comparing each with each is faster than a table of them. */
const fewNames = 16;

/** Not `Object.hasOwn`: in a loop over names the engine answers this one at once. */
const owns = Object.prototype.hasOwnProperty;

/** What has a field for each of its elements, and is no object of attributes. */
function isList(of: unknown): boolean {
  if (typeof of === 'string' || Array.isArray(of)) return true;
  return ArrayBuffer.isView(of) || of instanceof String;
}

/**
 * The attributes of one span, event or link while it is made: a flat list of names and values, clean from the moment they are
 * set. Setting one is two writes; that a name was set before is found out only when the list is full or read.
 */
export class AttributeList {
  /** Bytes of what is in it; names that were set twice count twice until the list is read. */
  bytes = 0;
  /** How many were left out. */
  dropped = 0;
  private parts: AttributePart[] = [];
  /** Up to here each name is there once. */
  private distinct = 0;

  constructor(private readonly limits: Pick<SpanLimits, 'maxAttributes' | 'maxAttributeLength'>) {}

  /**
   * Sets one attribute.
   *
   * @param room - bytes that the whole list may take
   */
  set(name: string, value: unknown, room: number): void {
    let clean: AttributeValue;
    let size: number;
    if (typeof value === 'string' && value.length <= this.limits.maxAttributeLength) {
      clean = value;
      size = value.length;
    } else if (typeof value === 'boolean' || (typeof value === 'number' && value - value === 0)) {
      clean = value;
      size = 8;
    } else {
      const made = cleanValue(value, this.limits.maxAttributeLength);
      if (made === undefined) return;
      clean = made;
      size = sizeOf(made);
    }
    if (typeof name !== 'string' || name === '' || name.length > this.limits.maxAttributeLength) {
      this.dropped++;
      return;
    }
    size += name.length;
    if (this.parts.length >= 2 * this.limits.maxAttributes || this.bytes + size > room) {
      this.squeeze(name, clean, room);
      return;
    }
    this.parts.push(name, clean);
    this.bytes += size;
  }

  /** Sets one that is there whatever else is. */
  force(name: string, value: AttributeValue): void {
    this.unite();
    this.place(this.find(name), name, value);
  }

  /** Sets all of an object; what throws when it is read is left out and counted. */
  setAll(attributes: Attributes, room: number): void {
    let left = lookedAt * (this.limits.maxAttributes + 1);
    try {
      if (isList(attributes)) {
        this.dropped++;
        return;
      }
      for (const name in attributes) {
        if (left-- === 0) {
          this.dropped++;
          return;
        }
        // Within the loop, where the engine knows each of these without a look-up.
        if (!owns.call(attributes, name)) continue;
        let value: unknown;
        try {
          value = attributes[name];
        } catch {
          this.dropped++;
          continue;
        }
        this.set(name, value, room);
      }
    } catch {
      // A proxy need not even tell its names.
      this.dropped++;
    }
  }

  /** Name, value, name, value, …: each name once. */
  read(): readonly AttributePart[] {
    this.unite();
    return this.parts;
  }

  /** The same as an object. */
  toObject(): Attributes {
    const object: Attributes = {};
    const parts = this.read();
    for (let at = 0; at < parts.length; at += 2) {
      const name = parts[at] as string;
      if (name === '__proto__') continue;
      object[name] = parts[at + 1] as AttributeValue;
    }
    return object;
  }

  /**
   * Whether two lists say the same of some names. Lists that were written by the same code differ in values only, and need
   * no search.
   */
  agrees(other: AttributeList, names: ReadonlySet<unknown>): boolean {
    const { parts } = this;
    const others = other.parts;
    if (parts.length !== others.length) return this.extract(names) === other.extract(names);
    for (let at = 0; at < parts.length; at += 2) {
      if (parts[at] !== others[at]) return this.extract(names) === other.extract(names);
      if (parts[at + 1] !== others[at + 1] && names.has(parts[at])) return false;
    }
    return true;
  }

  private extract(names: ReadonlySet<unknown>): string {
    let text = '';
    const parts = this.read();
    for (let at = 0; at < parts.length; at += 2)
      if (names.has(parts[at])) text += `${parts[at]}=${parts[at + 1]};`;
    return text;
  }

  /** Sets one where there may be no room for it. */
  private squeeze(name: string, value: AttributeValue, room: number): void {
    this.unite();
    const { parts } = this;
    const at = this.find(name);
    const known = at < parts.length;
    const left = room - this.bytes + this.sizeAt(at) - name.length;
    let fitting = value;
    if (sizeOf(value) > left && typeof value === 'string' && left >= leastCut) fitting = cutText(value, left);
    if (sizeOf(fitting) > left || (!known && parts.length >= 2 * this.limits.maxAttributes)) this.dropped++;
    else this.place(at, name, fitting);
  }

  /** Where a name is, or would be, once each is there once. */
  private find(name: string): number {
    const { parts } = this;
    let at = 0;
    while (at < parts.length && parts[at] !== name) at += 2;
    return at;
  }

  /** Bytes of a name and its value, if there is one. */
  private sizeAt(at: number): number {
    const { parts } = this;
    return at < parts.length ? (parts[at] as string).length + sizeOf(parts[at + 1] as AttributeValue) : 0;
  }

  private place(at: number, name: string, value: AttributeValue): void {
    const { parts } = this;
    this.bytes += name.length + sizeOf(value) - this.sizeAt(at);
    parts[at] = name;
    parts[at + 1] = value;
    this.distinct = parts.length;
  }

  /** Leaves each name once, where it stood first, with the value that came last. */
  private unite(): void {
    const { parts } = this;
    if (this.distinct === parts.length) return;
    if (this.repeats()) {
      const values = new Map<AttributePart, AttributePart>();
      for (let at = 0; at < parts.length; at += 2)
        values.set(parts[at] as AttributePart, parts[at + 1] as AttributePart);
      this.parts = [...values].flat(1) as AttributePart[];
      this.bytes = 0;
      for (const [name, value] of values) this.bytes += (name as string).length + sizeOf(value);
    }
    this.distinct = this.parts.length;
  }

  private repeats(): boolean {
    const { parts } = this;
    if (parts.length > 2 * fewNames) {
      const names = new Set<AttributePart | undefined>();
      for (let at = 0; at < parts.length; at += 2) names.add(parts[at]);
      return 2 * names.size < parts.length;
    }
    for (let at = Math.max(2, this.distinct); at < parts.length; at += 2) {
      const name = parts[at];
      for (let earlier = 0; earlier < at; earlier += 2) if (parts[earlier] === name) return true;
    }
    return false;
  }
}
