/** An SRV record. */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
  /** Seconds; left out where it is not known. */
  readonly ttl?: number | undefined;
}

/** What a name server answered to a question of SRV records. */
export interface SrvAnswer {
  /** Only a part of it is here: it has to be asked again over TCP. */
  readonly truncated: boolean;
  /** Whether the name exists, with or without such records. */
  readonly exists: boolean;
  readonly records: readonly SrvRecord[];
}

const typeSrv = 33;
const typeOpt = 41;
const classIn = 1;
const headerBytes = 12;
/** Largest answer that passes nearly all networks in one piece. */
const payloadBytes = 1_232;
const notFound = 3;
/** What TTLs are counted with, beyond which they mean 0. */
const longestTtl = 2 ** 31 - 1;

/**
 * Asks for the SRV records of a name.
 *
 * @throws RangeError for a name that no record can have
 */
export function srvQuestion(name: string, id: number): Buffer {
  const labels = name.replace(/\.$/, '').split('.');
  const encoded = labels.map((label) => Buffer.from(label, 'latin1'));
  const length = encoded.reduce((sum, label) => sum + 1 + label.length, 1);
  if (length > 255 || encoded.some((label) => label.length === 0 || label.length > 63))
    throw new RangeError(`${name} is not a name`);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  // Recursion desired; one question, and one additional record.
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const question = Buffer.alloc(5);
  question.writeUInt16BE(typeSrv, 1);
  question.writeUInt16BE(classIn, 3);
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(typeOpt, 1);
  opt.writeUInt16BE(payloadBytes, 3);
  const parts = encoded.flatMap((label) => [Buffer.of(label.length), label]);
  return Buffer.concat([header, ...parts, question, opt]);
}

/** Somebody sent something that was not asked for. */
export class OtherAnswer extends Error {}

/** Reads a message from its beginning to its end; whatever leads out of it throws a RangeError. */
class Reader {
  at = headerBytes;

  constructor(private readonly message: Buffer) {}

  uint16(): number {
    this.at += 2;
    return this.message.readUInt16BE(this.at - 2);
  }
  uint32(): number {
    this.at += 4;
    return this.message.readUInt32BE(this.at - 4);
  }

  name(): string {
    const labels: string[] = [];
    let from = this.at;
    let end: number | undefined;
    let length = 0;
    for (;;) {
      const size = this.message.readUInt8(from);
      if (size === 0) break;
      if (size >= 0xc0) {
        const to = this.message.readUInt16BE(from) & 0x3fff;
        end ??= from + 2;
        // Only backwards: names that point at each other would never end.
        if (to >= from) throw new RangeError('a name that points forward');
        from = to;
        continue;
      }
      length += size + 1;
      if (size > 63 || length > 255 || from + 1 + size > this.message.length)
        throw new RangeError('a name too long');
      labels.push(this.message.toString('latin1', from + 1, from + 1 + size));
      from += size + 1;
    }
    this.at = end ?? from + 1;
    return labels.join('.');
  }
}

/**
 * Reads the answer to a question.
 *
 * @throws OtherAnswer for what is no answer to it, RangeError for what cannot be read, Error for one of trouble
 */
export function readSrvAnswer(
  message: Buffer,
  question: { readonly id: number; readonly name: string },
): SrvAnswer {
  if (message.length < headerBytes) throw new OtherAnswer('too short');
  const flags = message.readUInt16BE(2);
  if (message.readUInt16BE(0) !== question.id || (flags & 0x8000) === 0)
    throw new OtherAnswer('no answer to the question');
  const code = flags & 0x000f;
  if (code !== 0 && code !== notFound) throw new Error(`the name server answered with code ${code}`);
  const truncated = (flags & 0x0200) !== 0;
  const reader = new Reader(message);
  for (let left = message.readUInt16BE(4); left > 0; left--) {
    const asked = reader.name();
    reader.at += 4;
    if (asked.toLowerCase() !== question.name.replace(/\.$/, '').toLowerCase())
      throw new OtherAnswer('an answer to another question');
  }
  if (truncated) return { truncated, exists: true, records: [] };
  const records: SrvRecord[] = [];
  // Of a name that stands for another one, that too has to be asked again when its time is over.
  let ttl = Number.POSITIVE_INFINITY;
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    reader.name();
    const type = reader.uint16();
    reader.at += 2;
    const its = reader.uint32();
    ttl = Math.min(ttl, its > longestTtl ? 0 : its);
    const next = reader.uint16() + reader.at;
    if (type === typeSrv) {
      const [priority, weight, port] = [reader.uint16(), reader.uint16(), reader.uint16()];
      records.push({ name: reader.name(), port, priority, weight });
    }
    reader.at = next;
  }
  return { truncated, exists: code === 0, records: records.map((record) => ({ ...record, ttl })) };
}
