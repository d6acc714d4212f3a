import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../core/clock.js';
import { holdContinue } from '../http/expect-continue.js';
import { closeWithConnection } from '../http/in-line.js';
import { answerInFull, onlyWatches } from '../http/reject-line.js';
import type { Bound, Place, Servable } from './servable.js';
import { type AnyHttpServer, listen } from './serving.js';

/** How often a server that closes is looked at, in milliseconds. */
const sweepMs = 25;

function askToLeave(res: ServerResponse): void {
  // HTTP/2 has no such header; its connections are told by a frame.
  if (res.req.httpVersionMajor === 1 && !res.headersSent) res.setHeader('connection', 'close');
}

const noError = 0;

/** The highest number that a stream can have. */
const lastStream = 2 ** 31 - 1;

/**
 * Tells a client not to open more streams, and still takes those that are on their way.
 *
 * Source: RFC 9113, 6.8, "graceful shutdown".
 */
function sayGoodbye(session: ServerHttp2Session): void {
  if (!session.closed && !session.destroyed) session.goaway(noError, lastStream);
}

/** What is decided for a server of `node:http` before it is served. */
export interface ServedSettings {
  readonly keepAliveTimeoutMs: number;
  /** Whether a listener is one that tells a waiting client itself to send its body. */
  readonly isGoverned: (listener: unknown) => boolean;
}

/** A server of `node:http`. Keeps what is connected to it in mind, so that it can be let go of in order. */
export class ServedServer implements Servable {
  private readonly answering = new Set<ServerResponse>();
  private readonly sockets = new Set<Socket>();
  private readonly sessions = new Set<ServerHttp2Session>();
  private readonly events: EventEmitter;
  /** One that listened before is not ours to close when the start fails. */
  private readonly opens: boolean;
  private leaving = false;

  constructor(
    private readonly server: AnyHttpServer,
    private readonly settings: ServedSettings,
  ) {
    this.opens = !server.listening;
    this.events = server;
    onlyWatches(this.requested);
    this.events.prependListener('request', this.requested);
    this.events.on('connection', this.connected);
    this.events.on('session', this.opened);
    const { isGoverned } = settings;
    if (this.events.listenerCount('checkContinue') === 0 && this.events.listeners('request').some(isGoverned))
      this.events.on('checkContinue', this.expected);
  }

  listen(place: Place): Promise<Bound> {
    return listen(this.server, { ...place, keepAliveTimeoutMs: this.settings.keepAliveTimeoutMs });
  }

  async withdraw(clock: Clock): Promise<void> {
    if (this.opens && this.server.listening) await this.close(0, clock);
    else this.detach();
  }

  private detach(): void {
    this.events.off('request', this.requested);
    this.events.off('connection', this.connected);
    this.events.off('session', this.opened);
    this.events.off('checkContinue', this.expected);
  }

  /** From now on every response asks its client to close the connection, so that the next request goes elsewhere. */
  leave(): void {
    this.leaving = true;
    answerInFull(this.server);
    for (const res of this.answering) askToLeave(res);
    for (const session of this.sessions) sayGoodbye(session);
  }

  /**
   * Takes no new connections and waits for the requests in flight, at most so long; then cuts what is left. Connections
   * that were upgraded are not waited for: they are their owner's, and seldom end by themselves.
   */
  close(timeoutMs: number, clock: Clock): Promise<void> {
    this.leave();
    for (const session of this.sessions) session.close();
    const { server } = this;
    return new Promise((resolve) => {
      let sweep: Timer | undefined;
      const done = (): void => {
        sweep?.cancel();
        cut.cancel();
        this.detach();
        resolve();
      };
      const cut = clock.after(timeoutMs, () => {
        if ('closeAllConnections' in server) server.closeAllConnections();
        this.cut();
        done();
      });
      const look = (): void => {
        // One whose response was under way when the server closed becomes idle, and would be kept for another request.
        if ('closeIdleConnections' in server) server.closeIdleConnections();
        if (this.answering.size === 0) this.cut();
        sweep = clock.after(sweepMs, look);
      };
      sweep = clock.after(sweepMs, look);
      server.close(done);
      if ('closeIdleConnections' in server) server.closeIdleConnections();
    });
  }

  private cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private readonly requested = (req: IncomingMessage, res: ServerResponse): void => {
    closeWithConnection(req, res);
    this.answering.add(res);
    res.once('close', () => this.answering.delete(res));
    if (this.leaving) askToLeave(res);
  };
  private readonly connected = (socket: Socket): void => {
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
  };
  private readonly opened = (session: ServerHttp2Session): void => {
    this.sessions.add(session);
    if (this.leaving) sayGoodbye(session);
    session.once('close', () => this.sessions.delete(session));
  };
  /** A client that asks before it sends its body is told to go on when the call was let in, not before. */
  private readonly expected = (req: IncomingMessage, res: ServerResponse): void => {
    holdContinue(req);
    this.events.emit('request', req, res);
  };
}
