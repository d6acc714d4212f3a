import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

/**
 * A response for a request that upgrades its connection, which has none behind `@hono/node-server`: what is written to it
 * goes nowhere, and it is closed with the connection.
 */
export function handshakeResponse(incoming: IncomingMessage): ServerResponse {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const response = new ServerResponse(incoming);
  response.assignSocket(nowhere as unknown as Socket);
  incoming.socket.once('close', () => nowhere.destroy());
  return response;
}
