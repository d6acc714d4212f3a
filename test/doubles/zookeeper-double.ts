import net, { type AddressInfo, type Socket } from 'node:net';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { JuteFrames, JuteReader, JuteWriter } from '../../src/discovery/jute.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { failure, fixedXid, operation } from '../../src/discovery/zookeeper-protocol.js';

/** What comes instead of the usual answer: bytes as they are, nothing, or the end of the connection. */
export type Fault = Buffer | 'hang' | 'close';

/** A request as the double sees it; the first of a connection has no type. */
export interface ZooKeeperAsked {
  readonly xid: number;
  readonly type: number | undefined;
  readonly session: bigint;
}

interface Node {
  readonly data: string;
  readonly owner: bigint;
}

/** A ZooKeeper server of the little that discovery asks of one, which can be made to misbehave. */
export class ZooKeeperDouble {
  readonly asked: ZooKeeperAsked[] = [];
  readonly nodes = new Map<string, Node>();
  /** Sessions that it knows. */
  readonly sessions = new Set<bigint>();
  fault: ((asked: ZooKeeperAsked) => Fault | undefined) | undefined;
  /** Bytes per write: a network tears frames as it likes. */
  piece = Number.POSITIVE_INFINITY;
  /** Gives a new session for one that it does not know, and says nothing of it. */
  silentlyRenews = false;
  address = '';
  private readonly sockets = new Set<Socket>();
  private readonly server = net.createServer((socket) => this.serve(socket));
  private zxid = 1n;
  private nextSession = 100n;

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.address = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.breakAll();
    await new Promise((resolve) => this.server.close(resolve));
  }

  breakAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  count(type: number | undefined): number {
    return this.asked.filter((asked) => asked.type === type).length;
  }

  /** Tells every client of something that happened. */
  tell(type: number, path: string): void {
    const event = new JuteWriter().int(fixedXid.event).long(-1n).int(0).int(type).int(3).text(path).frame();
    for (const socket of this.sockets) this.send(socket, event);
  }

  private send(socket: Socket, frame: Buffer): void {
    for (let at = 0; at < frame.length; at += this.piece) socket.write(frame.subarray(at, at + this.piece));
  }

  private serve(socket: Socket): void {
    socket.setNoDelay(true);
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
    const frames = new JuteFrames(1 << 20);
    let session = 0n;
    socket.on('data', (chunk: Buffer) => {
      for (const frame of frames.push(chunk)) {
        const reader = new JuteReader(frame);
        const first = session === 0n;
        if (first) session = this.begin(reader);
        const xid = first ? 0 : reader.int();
        const asked = { xid, type: first ? undefined : reader.int(), session };
        this.asked.push(asked);
        const fault = this.fault?.(asked);
        if (fault === 'hang') continue;
        if (fault === 'close') socket.destroy();
        else this.send(socket, fault ?? (first ? this.granted(session) : this.answer(asked, reader)));
      }
    });
  }

  private begin(reader: JuteReader): bigint {
    reader.int();
    reader.long();
    reader.int();
    const wanted = reader.long();
    if (this.sessions.has(wanted)) return wanted;
    if (wanted !== 0n && !this.silentlyRenews) return -1n;
    this.nextSession += 1n;
    this.sessions.add(this.nextSession);
    return this.nextSession;
  }

  private granted(session: bigint): Buffer {
    const writer = new JuteWriter().int(0);
    if (session === -1n) return writer.int(0).long(0n).buffer(new Uint8Array(16)).bool(false).frame();
    return writer.int(2_000).long(session).buffer(new Uint8Array(16)).bool(false).frame();
  }

  private answer({ xid, type, session }: ZooKeeperAsked, reader: JuteReader): Buffer {
    const reply = (code: number): JuteWriter =>
      new JuteWriter()
        .int(xid)
        .long(++this.zxid)
        .int(code);
    if (type === operation.ping || type === operation.setWatches || type === operation.auth)
      return reply(0).frame();
    if (type === operation.closeSession) return reply(0).frame();
    const path = reader.text();
    const node = this.nodes.get(path);
    if (type === operation.create) {
      if (node !== undefined) return reply(failure.nodeExists).frame();
      const data = reader.text();
      for (let acls = reader.int(); acls > 0; acls--) {
        reader.int();
        reader.text();
        reader.text();
      }
      this.nodes.set(path, { data, owner: reader.int() === 1 ? session : 0n });
      return reply(0).text(path).frame();
    }
    if (node === undefined) return reply(failure.noNode).frame();
    const stat = (writer: JuteWriter): Buffer => {
      for (let at = 0; at < 4; at++) writer.long(0n);
      for (let at = 0; at < 3; at++) writer.int(0);
      return writer.long(node.owner).int(0).int(0).long(0n).frame();
    };
    if (type === operation.delete) {
      this.nodes.delete(path);
      return reply(0).frame();
    }
    if (type === operation.getData) return stat(reply(0).text(node.data));
    if (type === operation.getChildren) {
      const below = [...this.nodes.keys()].filter((its) => its.startsWith(`${path}/`));
      const names = below.map((its) => its.slice(path.length + 1)).filter((name) => !name.includes('/'));
      return stat(reply(0).texts(names));
    }
    return stat(reply(0));
  }
}
