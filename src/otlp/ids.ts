import type { ByteWriter } from './byte-writer.js';

/** An id: where it stands in its message, and how many hex digits it has. */
export interface IdField {
  readonly tag: number;
  readonly digits: number;
}

/** Ids of OTLP by their length; one of another makes a collector refuse the whole request. */
export const traceDigits = 32;
export const spanDigits = 16;

const hex = /^[\da-f]+$/i;

/** Writes an id behind its tag, or nothing for what is none. Its letters are not looked at: all come out as some bytes. */
export function writeId(out: ByteWriter, { tag, digits }: IdField, id: string): void {
  if (id.length !== digits) return;
  out.byte(tag);
  out.hex(id);
}

/** An id as it stands in JSON, where its letters matter too; `undefined` for what is none. */
export function jsonId(id: string | undefined, digits: number): string | undefined {
  return id?.length === digits && hex.test(id) ? id : undefined;
}
