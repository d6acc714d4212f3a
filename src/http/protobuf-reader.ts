/** Bytes that are no message of protobuf. */
export class MalformedMessage extends Error {
  constructor() {
    super('malformed protobuf message');
  }
}

/** How the content of a field is written. */
export const wireTypes = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const;

/**
 * Reads a message of protobuf front to back: tags by `varint`, then what belongs to them. For messages of a few fields, for
 * which a library would be the larger part. Every method throws {@link MalformedMessage} where the message breaks off.
 *
 * Source: protobuf.dev, "Encoding".
 */
export class ProtobufReader {
  private at = 0;
  constructor(private readonly bytes: Buffer) {}

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new MalformedMessage();
      // Not by `<<`, which has 32 bits.
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new MalformedMessage();
  }

  double(): number {
    return this.take(8).readDoubleLE(0);
  }

  delimited(): Buffer {
    return this.take(this.varint());
  }

  /** The content of a field of any type: bytes, or a number. */
  content(wireType: number): Buffer | number {
    if (wireType === wireTypes.varint) return this.varint();
    if (wireType === wireTypes.fixed64) return this.take(8);
    if (wireType === wireTypes.delimited) return this.delimited();
    if (wireType === wireTypes.fixed32) return this.take(4);
    // Groups are as old as protobuf itself; nobody writes them any more.
    throw new MalformedMessage();
  }

  private take(length: number): Buffer {
    if (length > this.bytes.length - this.at) throw new MalformedMessage();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
