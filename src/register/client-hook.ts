import { errorMonitor } from 'node:events';
import http, { type ClientRequest } from 'node:http';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { type Context, diag } from '@opentelemetry/api';
import { HttpDeparture } from './http-departure.js';
import { type Patch, patch } from './patch.js';
import { depart, departing, type SentRequest, tellCaller } from './sent-request.js';
import { isWrapper } from './spoken-for.js';
import type { Witness } from './witness.js';

type Send = (this: unknown, ...args: never[]) => ClientRequest;

interface Module {
  request: Send;
  get: Send;
}

/** What Node keeps of the answer, also of one that changes the protocol. */
interface Answered {
  readonly res?: {
    readonly statusCode?: number;
    readonly httpVersion: string;
    readonly errored?: Error | null;
  };
}

/** Ends the record with the request: its answer was read to the end, or nobody will read it. */
function follow(req: ClientRequest, sent: SentRequest): void {
  let error: unknown;
  // A listener to `response` would tell Node that somebody reads the answer, and one to `error` that somebody minds.
  req.on(errorMonitor, (thrown: unknown) => {
    error ??= thrown;
  });
  req.on('close', () => {
    const { res } = req as Answered;
    const status = res?.statusCode;
    if (res === undefined || status === undefined) {
      sent.end({ error });
      return;
    }
    const labels = { 'http.response.status_code': status, 'network.protocol.version': res.httpVersion };
    const errorType = status >= 400 ? String(status) : undefined;
    sent.end({ labels, errorType, error: error ?? res.errored ?? undefined });
  });
}

/** Who has been here already: `get` may go through `request`. */
const seen = new WeakSet<ClientRequest>();

/** Makes the record of a request. */
type Recorder = (req: ClientRequest, args: readonly unknown[], active: Context) => void;

function recorder(original: Send, witness: Witness): Recorder {
  // An instrumentation that was there before makes the span, but does not say who calls.
  if (isWrapper(original))
    return (req, args) => tellCaller(new HttpDeparture(req, args, witness.origins), witness);
  return (req, args, active) => {
    const sent = depart(new HttpDeparture(req, args, witness.origins), active, witness);
    if (sent !== undefined) follow(req, sent);
  };
}

/** The same function, whose requests are recorded. */
function recording(original: Send, state: Patch, witness: Witness): Send {
  const record = recorder(original, witness);
  const send: Send = function request(this: unknown, ...args) {
    const active = departing();
    const req = original.apply(this, args);
    // Of a tunnel nobody tells the end, and its headers are for the proxy.
    if (active === undefined || state.isOver || seen.has(req) || req.method === 'CONNECT') return req;
    seen.add(req);
    try {
      record(req, args, active);
    } catch (fault) {
      diag.error('keelson: a request could not be traced', fault);
    }
    return req;
  };
  // Whoever asks whether somebody else traces requests has to hear of the one below.
  if (isWrapper(original)) Object.defineProperty(send, '__wrapped', { value: true });
  return send;
}

/** The text of Node's own `get`, which calls the `request` beside it, not the one that others see. */
const nodes =
  /^function get\(\w+, options, cb\) \{\s*const req = request\(\w+, options, cb\);\s*req\.end\(\);\s*return req;\s*\}$/;

function hookModule(module: Module, witness: Witness): (() => void)[] {
  const request = patch(module, 'request', (original, state) => recording(original, state, witness));
  const get = patch(module, 'get', (original, state) => {
    // Somebody else's goes on being called; its requests are begun by then, and what they say is still to be written.
    if (!nodes.test(Function.prototype.toString.call(original))) return recording(original, state, witness);
    return function get(this: unknown, ...args) {
      const req = module.request(...args);
      req.end();
      return req;
    };
  });
  return [request, get];
}

/**
 * Traces what goes out by `node:http` and `node:https`. The functions are replaced on the modules, and in what `import` has
 * of them, so no loader is needed; who has taken one of them before is not heard of. What `import` has of them then are
 * also the functions that others have put there before.
 *
 * The channel `http.client.request.start` comes when the headers are written already.
 */
export function hookClients(witness: Witness): () => void {
  const undo = [http, https].flatMap((module) => hookModule(module as unknown as Module, witness));
  syncBuiltinESMExports();
  return () => {
    for (const one of undo) one();
    syncBuiltinESMExports();
  };
}
