import { createSocket } from 'node:dgram';
import { type AddressInfo, createServer, type Server } from 'node:net';

// A name server that answers questions of SRV records, by RFC 1035 (messages, compression, TCP), 2782 (SRV), 2308
// (NXDOMAIN and NODATA). What it says is written by hand here, not with the code that is tested.

export interface SrvLine {
  readonly target: string;
  readonly port: number;
  readonly priority?: number;
  readonly weight?: number;
  readonly ttl: number;
}

export class NameServer {
  readonly asked: { readonly name: string; readonly tcp: boolean }[] = [];
  readonly records = new Map<string, readonly SrvLine[]>();
  readonly aliases = new Map<string, { readonly name: string; readonly ttl: number }>();
  /** Names that exist without SRV records. */
  readonly bare = new Set<string>();
  /** Answers over UDP say that they are not whole. */
  truncates = false;
  /** What is sent instead, given the right answer; undefined for nothing. */
  distort: (answer: Buffer) => readonly Buffer[] = (answer) => [answer];
  address = '';
  private readonly udp = createSocket('udp4');
  private readonly tcp: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const answer = this.answer(data.subarray(2), true);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      // In two pieces, as networks do.
      socket.write(Buffer.concat([length, answer.subarray(0, 5)]));
      setTimeout(() => socket.write(answer.subarray(5)), 2);
    });
  });

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.tcp.listen(0, '127.0.0.1', resolve));
    const { port } = this.tcp.address() as AddressInfo;
    this.udp.on('message', (message, { port: from, address }) => {
      for (const answer of this.distort(this.answer(message, false))) this.udp.send(answer, from, address);
    });
    await new Promise<void>((resolve) => this.udp.bind(port, '127.0.0.1', resolve));
    this.address = `127.0.0.1:${port}`;
    return this;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.udp.close(() => resolve()));
    await new Promise((resolve) => this.tcp.close(resolve));
  }

  private answer(message: Buffer, tcp: boolean): Buffer {
    let end = 12;
    const labels: string[] = [];
    while (message[end]) {
      const size = message[end] as number;
      labels.push(message.toString('latin1', end + 1, end + 1 + size));
      end += size + 1;
    }
    const name = labels.join('.');
    this.asked.push({ name, tcp });
    const alias = this.aliases.get(name);
    const lines = this.records.get(alias?.name ?? name) ?? [];
    const truncated = this.truncates && !tcp;
    const answers = truncated ? [] : [...(alias ? [cname(alias)] : []), ...lines.map(srv)];
    const exists = lines.length > 0 || this.bare.has(name);
    const header = Buffer.from(message.subarray(0, 12));
    header.writeUInt16BE(0x8180 | (truncated ? 0x0200 : 0) | (exists ? 0 : 3), 2);
    header.writeUInt16BE(answers.length, 6);
    header.writeUInt16BE(0, 8);
    header.writeUInt16BE(0, 10);
    return Buffer.concat([header, message.subarray(12, end + 5), ...answers]);
  }
}

function encoded(name: string): Buffer {
  return Buffer.concat([
    ...name.split('.').flatMap((label) => [Buffer.of(label.length), Buffer.from(label)]),
    Buffer.of(0),
  ]);
}

/** A record of the name that was asked for, which a pointer stands for. */
function record(type: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function cname({ name, ttl }: { readonly name: string; readonly ttl: number }): Buffer {
  return record(5, ttl, encoded(name));
}

function srv({ target, port, priority = 1, weight = 1, ttl }: SrvLine): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(priority, 0);
  head.writeUInt16BE(weight, 2);
  head.writeUInt16BE(port, 4);
  return record(33, ttl, Buffer.concat([head, encoded(target)]));
}
