import net from 'node:net';
import tls from 'node:tls';
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from './discovery-event.js';
import { JuteFrames, JuteReader, JuteWriter } from './jute.js';
import { within } from './within.js';
import {
  authFrame,
  type ConnectRequest,
  type ConnectResponse,
  connectFrame,
  fixedXid,
  pingFrame,
  readConnect,
  ZooKeeperError,
  type ZooKeeperUser,
} from './zookeeper-protocol.js';

/** What a {@link ZooKeeperConnection} needs. */
export interface ZooKeeperConnectionInit {
  /** `tcp://host:port` */
  readonly node: string;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  /** How long the server may take to answer the first request; milliseconds. */
  readonly requestTimeoutMs: number;
  readonly maxReplyBytes: number;
  /** In the platform's words; without TLS if not given. */
  readonly tls?: object | undefined;
  readonly onEvent: (type: number, path: string) => void;
  /** Told of the newest that the server knows. */
  readonly onZxid: (zxid: bigint) => void;
}

interface Pending {
  readonly xid: number;
  readonly sentAt: number;
  readonly resolve: (reader: JuteReader) => void;
  readonly reject: (error: Error) => void;
}

/** The connection is gone; whether what was under way was done, nobody knows. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

const maxXid = 2 ** 31 - 2;

/**
 * One connection to a ZooKeeper server: requests in order, events in between, and a sign of life now and then. Anything
 * that is not to the protocol ends it.
 */
export class ZooKeeperConnection {
  /** Settled with the reason when it has ended. */
  readonly ended: Promise<string>;
  private readonly socket: net.Socket;
  private readonly frames: JuteFrames;
  private pending: Pending[] = [];
  private xid = 0;
  private heardAt: number;
  private sentAt: number;
  private timer: Timer | undefined;
  private onFirst: ((frame: Buffer) => void) | undefined;
  private reason: string | undefined;
  private end: (reason: string) => void = () => undefined;

  constructor(private readonly init: ZooKeeperConnectionInit) {
    const { node, clock, maxReplyBytes } = init;
    const { hostname, port } = new URL(node);
    const host = hostname.replace(/^\[|\]$/g, '');
    const to = { host, port: Number(port) };
    this.frames = new JuteFrames(maxReplyBytes);
    this.heardAt = clock.now();
    this.sentAt = clock.now();
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
    const name = net.isIP(host) === 0 ? { servername: host } : {};
    this.socket = init.tls === undefined ? net.connect(to) : tls.connect({ ...to, ...name, ...init.tls });
    this.socket.unref();
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: Buffer) => this.take(chunk));
    this.socket.on('error', (error) => this.close(reasonOf(error)));
    this.socket.on('close', () => this.close('the server closed the connection'));
  }

  /** This end of it. */
  get localAddress(): string | undefined {
    return this.socket.localAddress;
  }

  /**
   * Takes up a session or begins one.
   *
   * @throws Error when nothing comes of it; then the connection is closed
   */
  async connect(session: ConnectRequest, signal: AbortSignal): Promise<ConnectResponse> {
    const { clock, connectTimeoutMs, requestTimeoutMs, tls: secure } = this.init;
    try {
      const made = secure === undefined ? 'connect' : 'secureConnect';
      await within({ clock, timeoutMs: connectTimeoutMs, signal }, () =>
        this.orEnded((resolve) => void this.socket.once(made, resolve)),
      );
      const first = within({ clock, timeoutMs: requestTimeoutMs, signal }, () =>
        this.orEnded<Buffer>((resolve) => {
          this.onFirst = resolve;
        }),
      );
      this.write(connectFrame(session));
      return readConnect(new JuteReader(await first));
    } catch (error) {
      this.close(reasonOf(error));
      throw error;
    }
  }

  /** Begins to look after the session: a sign of life thrice in its time, and an end when there is none in return. */
  guard(sessionMs: number): void {
    const { clock } = this.init;
    const silentMs = (sessionMs * 2) / 3;
    const now = clock.now();
    const oldest = Math.min(this.heardAt, this.pending[0]?.sentAt ?? now);
    if (now - oldest > silentMs) {
      this.close(`nothing was heard for ${Math.round(now - oldest)} ms`);
      return;
    }
    if (now - this.sentAt >= sessionMs / 3) this.write(pingFrame());
    this.timer = clock.after(sessionMs / 6, () => this.guard(sessionMs));
  }

  authenticate(user: ZooKeeperUser): void {
    this.write(authFrame(user));
  }

  /** Sends what needs no answer. */
  write(frame: Buffer): void {
    if (this.reason !== undefined) return;
    this.sentAt = this.init.clock.now();
    this.socket.write(frame);
  }

  /**
   * Sends a request.
   *
   * @returns what the answer holds
   * @throws ZooKeeperError when the server did not do it, ConnectionLost when nobody knows
   */
  request(type: number, fill: (writer: JuteWriter) => void = () => undefined): Promise<JuteReader> {
    if (this.reason !== undefined) return Promise.reject(new ConnectionLost(this.reason));
    this.xid = this.xid >= maxXid ? 1 : this.xid + 1;
    const { xid } = this;
    const writer = new JuteWriter().int(xid).int(type);
    fill(writer);
    return new Promise((resolve, reject) => {
      this.pending.push({ xid, sentAt: this.init.clock.now(), resolve, reject });
      this.write(writer.frame());
    });
  }

  /** Ends it. A second call does nothing. */
  close(reason: string): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.timer?.cancel();
    this.socket.destroy();
    const { pending } = this;
    this.pending = [];
    for (const { reject } of pending) reject(new ConnectionLost(reason));
    this.end(reason);
  }

  /** Waits for something that comes in, for as long as there is a connection. */
  private async orEnded<T = void>(wait: (resolve: (value: T) => void) => void): Promise<T> {
    const lost = this.ended.then((reason): never => {
      throw new ConnectionLost(reason);
    });
    return Promise.race([new Promise<T>(wait), lost]);
  }

  private take(chunk: Buffer): void {
    if (this.reason !== undefined) return;
    try {
      this.heardAt = this.init.clock.now();
      for (const frame of this.frames.push(chunk)) {
        if (this.reason === undefined) this.understand(frame);
      }
    } catch (error) {
      const told = error instanceof ZooKeeperError;
      this.close(told ? error.message : `the server sent what cannot be read: ${reasonOf(error)}`);
    }
  }

  private understand(frame: Buffer): void {
    const { onFirst } = this;
    if (onFirst !== undefined) {
      this.onFirst = undefined;
      onFirst(frame);
      return;
    }
    const reader = new JuteReader(frame);
    const xid = reader.int();
    const zxid = reader.long();
    const code = reader.int();
    if (xid === fixedXid.event) this.tellEvent(reader);
    else if (xid === fixedXid.auth || xid === fixedXid.setWatches) this.settleUnnumbered(code);
    else if (xid !== fixedXid.ping) this.settle(xid, { zxid, code, reader });
  }

  /** What was set up with the connection; without it the connection is of no use. */
  private settleUnnumbered(code: number): void {
    if (code !== 0) throw new ZooKeeperError(code);
  }

  private settle(xid: number, answer: { zxid: bigint; code: number; reader: JuteReader }): void {
    const { zxid, code, reader } = answer;
    const [asked] = this.pending;
    if (asked?.xid !== xid) throw new RangeError(`an answer to ${xid}, which was not asked`);
    this.pending.shift();
    if (zxid > 0n) this.init.onZxid(zxid);
    if (code === 0) asked.resolve(reader);
    else asked.reject(new ZooKeeperError(code));
  }

  private tellEvent(reader: JuteReader): void {
    const type = reader.int();
    reader.int();
    this.init.onEvent(type, reader.text());
  }
}
