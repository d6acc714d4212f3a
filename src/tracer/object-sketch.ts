import { cutText } from './cut-text.js';

/** Values that are looked at: beyond that, an object is too big for an attribute anyway. */
const maxValues = 1000;
const maxDepth = 4;

/** What stands for a value that throws when it is looked at. */
const unreadable = '[unreadable]';

type Bytes = ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

/** Whether it is bytes: of those, as of a text in an object, each is a field, and only to list them may be too much. */
export function isBytes(value: object): value is Bytes {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}

/** What stands for bytes. */
export function bytesText(bytes: Bytes): string {
  return `[${bytes.byteLength} bytes]`;
}

/** One object on its way to text. */
class Sketch {
  private text = '';
  private values = 0;
  private readonly around: object[] = [];

  constructor(private readonly maxLength: number) {}

  of(value: object): string {
    this.write(value);
    return cutText(this.text, this.maxLength);
  }

  private get full(): boolean {
    return this.text.length >= this.maxLength || this.values >= maxValues;
  }

  private write(value: unknown): void {
    this.values++;
    if (typeof value === 'string') {
      this.text += JSON.stringify(value.slice(0, this.maxLength));
    } else if (typeof value !== 'object' || value === null) {
      this.text += typeof value === 'function' ? '"[function]"' : String(value);
    } else if (isBytes(value)) {
      this.text += `"${bytesText(value)}"`;
    } else if (value instanceof String) {
      this.write(String.prototype.valueOf.call(value));
    } else if (this.around.includes(value)) {
      this.text += '"[circular]"';
    } else if (this.around.length === maxDepth) {
      this.text += Array.isArray(value) ? '"[array]"' : '"[object]"';
    } else {
      this.around.push(value);
      if (value instanceof Date) this.text += JSON.stringify(value);
      else if (Array.isArray(value)) this.writeArray(value);
      else this.writeObject(value as Record<string, unknown>);
      this.around.pop();
    }
  }

  private writeArray(array: readonly unknown[]): void {
    this.text += '[';
    for (let at = 0; at < array.length && !this.full; at++) {
      if (at > 0) this.text += ',';
      this.writeField(array, at);
    }
    this.text += ']';
  }

  private writeObject(object: Record<string, unknown>): void {
    this.text += '{';
    let first = true;
    for (const name in object) {
      if (this.full) break;
      if (!Object.hasOwn(object, name)) continue;
      this.text += `${first ? '' : ','}${JSON.stringify(name)}:`;
      this.writeField(object, name);
      first = false;
    }
    this.text += '}';
  }

  private writeField(holder: object, name: PropertyKey): void {
    let value: unknown;
    try {
      value = (holder as Record<PropertyKey, unknown>)[name];
    } catch {
      value = unreadable;
    }
    this.write(value);
  }
}

/**
 * A text of an object, like JSON, that always ends: circles, depth, and size are cut, getters may throw, and nothing of the
 * object is called.
 */
export function sketch(value: object, maxLength: number): string {
  try {
    return new Sketch(maxLength).of(value);
  } catch {
    return unreadable;
  }
}
