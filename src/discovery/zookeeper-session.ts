import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from './backoff.js';
import { reasonOf } from './discovery-event.js';
import type { JuteReader, JuteWriter } from './jute.js';
import { NodeRing } from './node-ring.js';
import { Pause } from './pause.js';
import { within } from './within.js';
import { ZooKeeperConnection } from './zookeeper-connection.js';
import { operation, type ZooKeeperUser } from './zookeeper-protocol.js';
import { WatchTable } from './zookeeper-watches.js';

/** What a {@link ZooKeeperSession} needs. */
export interface ZooKeeperSessionInit {
  /** `tcp://host:port`, at least one. */
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly sessionTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly maxReplyBytes: number;
  readonly user: ZooKeeperUser | undefined;
  readonly tls: object | undefined;
}

/** How a request is to be made. */
export interface ZooKeeperHow {
  readonly timeoutMs?: number | undefined;
  readonly holdsProcess?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly resolve: (connection: ZooKeeperConnection) => void;
  readonly reject: (error: Error) => void;
}

const retries: Backoff = { firstMs: 250, maxMs: 5_000 };
/** Least time between two connections, whatever the jitter. */
const gapMs = 50;
/** A connection that lasted so long was a good one, however it ended. */
const steadyMs = 10_000;
/** What a server grants is its word; signs of life have to be neither a flood nor missing. */
const leastSessionMs = 400;
const mostSessionMs = 120_000;
const noPassword: Uint8Array = new Uint8Array(16);

/**
 * A session that is kept for as long as servers let us: over one connection after the other, and followed by a new one
 * when it has expired. It begins with the first request.
 */
export class ZooKeeperSession {
  /** What is watched in this session. */
  readonly watches = new WatchTable();
  /** This end of the last connection. */
  localAddress: string | undefined;
  readonly ring: NodeRing;
  private sessionId = 0n;
  private password: Uint8Array = noPassword;
  private zxid = 0n;
  /** How long servers keep it, and when one was last known to. */
  private grantedMs: number;
  private keptAt = 0;
  private connection: ZooKeeperConnection | undefined;
  /** Why nobody can be asked, once everybody was. */
  private trouble: string | undefined;
  private readonly waiting = new Set<Waiter>();
  private readonly expiryListeners = new Set<(reason: string) => void>();
  private readonly control = new AbortController();
  private readonly pause: Pause;
  private running: Promise<void> | undefined;

  constructor(private readonly init: ZooKeeperSessionInit) {
    this.ring = new NodeRing(init.nodes, init.random);
    this.pause = new Pause(init.clock);
    this.grantedMs = init.sessionTimeoutMs;
  }

  /** Which one it is; 0 while there is none. */
  get id(): bigint {
    return this.sessionId;
  }

  /** Tells when the session is over, and with it all that hangs on it. @returns to be called when it does not matter */
  onExpiry(listener: (reason: string) => void): () => void {
    this.expiryListeners.add(listener);
    return () => void this.expiryListeners.delete(listener);
  }

  /** Sends a request as soon as there is a connection; at once fails when nobody can be reached. */
  request(type: number, fill: (writer: JuteWriter) => void, how: ZooKeeperHow): Promise<JuteReader> {
    const { clock, requestTimeoutMs } = this.init;
    const { timeoutMs = requestTimeoutMs, holdsProcess, signal } = how;
    return within({ clock, timeoutMs, signal, holdsProcess }, async () =>
      (await this.connected()).request(type, fill),
    );
  }

  /** Ends the session, so that servers let go of what hangs on it. */
  async close(): Promise<void> {
    if (this.control.signal.aborted) return;
    const { connection } = this;
    const over = new Error('the registry client is closed');
    if (connection !== undefined) {
      const { clock, requestTimeoutMs } = this.init;
      const farewell = (): Promise<JuteReader> => connection.request(operation.closeSession);
      await within({ clock, timeoutMs: requestTimeoutMs, holdsProcess: true }, farewell).catch(
        () => undefined,
      );
    }
    this.control.abort(over);
    this.pause.end();
    this.connection?.close(over.message);
    this.refuse(over);
    this.watches.drop(over);
    await this.running;
  }

  private connected(): Promise<ZooKeeperConnection> {
    if (this.control.signal.aborted) return Promise.reject(this.control.signal.reason);
    this.running ??= this.run();
    if (this.connection !== undefined) return Promise.resolve(this.connection);
    if (this.trouble !== undefined) return Promise.reject(new Error(this.trouble));
    return new Promise((resolve, reject) => this.waiting.add({ resolve, reject }));
  }

  private refuse(error: Error): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const { reject } of waiting) reject(error);
  }

  private async run(): Promise<void> {
    const { clock, random } = this.init;
    let failures = 0;
    while (!this.control.signal.aborted) {
      const node = this.ring.current;
      const startedAt = clock.now();
      const reason = await this.once(node);
      if (this.control.signal.aborted) return;
      this.ring.failed(node);
      const stood = reason.stood && clock.now() - startedAt >= steadyMs;
      failures = stood ? 1 : failures + 1;
      if (failures >= Math.max(2, this.ring.size)) {
        this.trouble = `${node}: ${reason.text}`;
        const error = new Error(this.trouble);
        this.refuse(error);
        // Nobody tells them of changes now, for who knows how long.
        this.watches.drop(error);
      }
      // No server keeps it any more; and one that lost its memory would refuse it for ever, without a word.
      if (this.sessionId !== 0n && clock.now() - this.keptAt > this.grantedMs * 1.5) {
        this.expire('no server was reached for longer than the session lives');
        failures = 1;
      }
      await this.pause.wait(gapMs + fullJitterMs(failures, random, retries));
    }
  }

  /** One connection from its beginning to its end. Never throws. */
  private async once(node: string): Promise<{ readonly stood: boolean; readonly text: string }> {
    let connection: ZooKeeperConnection | undefined;
    try {
      connection = this.dial(node);
      await this.begin(connection);
    } catch (error) {
      connection?.close(reasonOf(error));
      return { stood: false, text: reasonOf(error) };
    }
    const text = await connection.ended;
    this.connection = undefined;
    this.keptAt = this.init.clock.now();
    return { stood: true, text };
  }

  private dial(node: string): ZooKeeperConnection {
    return new ZooKeeperConnection({
      ...this.init,
      node,
      onEvent: (type, path) => this.watches.fire(type, path),
      onZxid: (zxid) => {
        this.zxid = zxid;
      },
    });
  }

  private async begin(connection: ZooKeeperConnection): Promise<void> {
    const { clock, sessionTimeoutMs, user } = this.init;
    const { sessionId: id, password, zxid: lastZxid } = this;
    const asked = { id, password, timeoutMs: sessionTimeoutMs, lastZxid };
    const { signal } = this.control;
    const granted = await connection.connect(asked, signal);
    signal.throwIfAborted();
    const resumed = id !== 0n && granted.id === id;
    const expired = granted.timeoutMs <= 0 || granted.id === 0n;
    // Some servers give a new session without saying that the old one is gone.
    if (id !== 0n && (expired || !resumed)) this.expire('the session expired');
    if (expired) throw new Error('the server gave no session');
    this.sessionId = granted.id;
    this.password = granted.password;
    this.grantedMs = Math.min(
      Math.max(granted.timeoutMs, leastSessionMs),
      Math.max(sessionTimeoutMs, mostSessionMs),
    );
    this.keptAt = clock.now();
    this.localAddress = connection.localAddress;
    connection.guard(this.grantedMs);
    if (user !== undefined) connection.authenticate(user);
    // In a new session they are set by the requests that wait for it.
    if (resumed) for (const frame of this.watches.frames(this.zxid)) connection.write(frame);
    this.connection = connection;
    this.trouble = undefined;
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const { resolve } of waiting) resolve(connection);
  }

  private expire(reason: string): void {
    this.sessionId = 0n;
    this.password = noPassword;
    this.zxid = 0n;
    this.watches.drop(new Error(reason));
    for (const listener of [...this.expiryListeners]) listener(reason);
  }
}
