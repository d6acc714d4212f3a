/** Writes the records of ZooKeeper: big-endian numbers, and texts and buffers with their length before them. */
export class JuteWriter {
  private readonly parts: Buffer[] = [];

  int(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeInt32BE(value);
    this.parts.push(part);
    return this;
  }
  long(value: bigint): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigInt64BE(value);
    this.parts.push(part);
    return this;
  }
  bool(value: boolean): this {
    this.parts.push(Buffer.from([value ? 1 : 0]));
    return this;
  }
  buffer(value: Uint8Array): this {
    this.int(value.length).parts.push(Buffer.from(value));
    return this;
  }
  text(value: string): this {
    return this.buffer(Buffer.from(value, 'utf8'));
  }
  texts(values: readonly string[]): this {
    this.int(values.length);
    for (const value of values) this.text(value);
    return this;
  }

  /** All of it with its length before it, as it goes on the wire. */
  frame(): Buffer {
    const body = Buffer.concat(this.parts);
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(body.length);
    return Buffer.concat([length, body]);
  }
}

/** Reads such records. Every length is the peer's word, and is checked against what there is. */
export class JuteReader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  /** How many bytes are still to be read. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  int(): number {
    return this.bytes.readInt32BE(this.skip(4));
  }
  long(): bigint {
    return this.bytes.readBigInt64BE(this.skip(8));
  }
  bool(): boolean {
    return this.bytes[this.skip(1)] !== 0;
  }
  /** A part of what was received, not a copy. A missing one counts as an empty one. */
  buffer(): Buffer {
    const length = this.int();
    if (length === -1) return Buffer.alloc(0);
    const from = this.skip(length);
    return this.bytes.subarray(from, from + length);
  }
  text(): string {
    return this.buffer().toString('utf8');
  }
  texts(): string[] {
    const count = this.int();
    if (count === -1) return [];
    // Each takes four bytes at least: a larger number is a lie that must not be waited for.
    if (count < 0 || count * 4 > this.left) throw new RangeError(`a list of ${count} in ${this.left} bytes`);
    return Array.from({ length: count }, () => this.text());
  }

  private skip(length: number): number {
    if (length < 0 || length > this.left)
      throw new RangeError(`${length} bytes are said to be in ${this.left}`);
    const from = this.at;
    this.at += length;
    return from;
  }
}

/** Cuts a stream of bytes into frames, however they are torn. */
export class JuteFrames {
  private begun: Buffer[] = [];
  private size = 0;

  constructor(private readonly maxBytes: number) {}

  /**
   * Takes what came in.
   *
   * @returns the frames that are complete now
   * @throws RangeError for a frame that is too long, or of no length at all
   */
  push(chunk: Buffer): Buffer[] {
    this.begun.push(chunk);
    this.size += chunk.length;
    const frames: Buffer[] = [];
    while (this.size >= 4) {
      const length = this.peek();
      if (length < 0 || length > this.maxBytes)
        throw new RangeError(`a frame of ${length} bytes, of which ${this.maxBytes} are allowed`);
      if (this.size < 4 + length) break;
      const bytes = this.joined();
      frames.push(bytes.subarray(4, 4 + length));
      const rest = bytes.subarray(4 + length);
      this.begun = rest.length > 0 ? [rest] : [];
      this.size = rest.length;
    }
    return frames;
  }

  private peek(): number {
    // A length may be torn, too; that is rare enough to join what there is.
    const [first] = this.begun;
    return (first !== undefined && first.length >= 4 ? first : this.joined()).readInt32BE(0);
  }

  private joined(): Buffer {
    const bytes = this.begun.length === 1 ? (this.begun[0] as Buffer) : Buffer.concat(this.begun);
    this.begun = [bytes];
    return bytes;
  }
}
