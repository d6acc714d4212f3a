import type { Endpoint } from './endpoint.js';
import type { Handler } from './handler.js';
import type { Protocol } from './protocol.js';

/** What a wire keeps for one endpoint. */
export interface Connection<Req, Res> {
  /** Sends one call to that endpoint. */
  readonly handler: Handler<Req, Res>;
  /** Lets go of sockets. Called once, when the endpoint has left and its last call ended. */
  close(): void;
}

/** One way to carry calls: knows its messages and how to send them to an endpoint, and nothing of policies. */
export interface Wire<Req, Res> {
  /** What it knows of its messages. */
  readonly protocol: Protocol<Req, Res>;
  /** Schemes of the addresses that it can call: `http`, `https`. */
  readonly schemes: readonly string[];
  /** Whether it tells the callee by itself how much time is left, so that no header of ours has to. Left out: it does not. */
  readonly tellsDeadline?: boolean | undefined;
  /** Called once for each endpoint that appears. May throw if the endpoint cannot be called as configured. */
  connect(endpoint: Endpoint): Connection<Req, Res>;
}
