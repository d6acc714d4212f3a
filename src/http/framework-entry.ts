import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { type Call, routeOperation } from '../core/call.js';
import type { HttpListener } from './listener.js';
import type { HttpHandler } from './serve-handler.js';
import { type ServedCall, servedCall } from './served-call.js';
import { isOver } from './server-response.js';

/** What a framework still has to do for one request: the rest of its middlewares, its routes. */
export interface FrameworkChain {
  /** Goes on; the framework's `next`. A promise is waited for as that of a listener is. Called once at most. */
  proceed(): unknown;
  /** The template by which the framework routes the request, as soon as it knows; never a raw path. Must not throw. */
  template(): string | undefined;
  /** The request was answered and the framework had no part in it: it was refused, or was a health check. */
  answered?(): void;
}

/** Takes a request from a framework, governs it, and lets the framework go on with it. */
export type FrameworkEntry = (
  req: IncomingMessage | Http2ServerRequest,
  res: ServerResponse | Http2ServerResponse,
  chain: FrameworkChain,
) => void;

/** `GET /users/42` → `GET`. */
function methodOf({ operation }: Call): string {
  const space = operation.indexOf(' ');
  return space < 0 ? operation : operation.slice(0, space);
}

function nameByRoute(call: Call, chain: FrameworkChain): void {
  const method = methodOf(call);
  routeOperation(call, () => {
    const template = chain.template();
    return template === undefined ? undefined : `${method} ${template}`;
  });
}

/** Makes the governed listener of a handler. */
type Listen = (handler: HttpHandler, route: (req: IncomingMessage) => string | undefined) => HttpListener;

class Entry {
  private readonly chains = new WeakMap<object, FrameworkChain>();
  private readonly admitted = new WeakSet<object>();
  private readonly listener: HttpListener;

  /** @param filters - whether the listener has middlewares of the user's */
  constructor(
    listen: Listen,
    private readonly filters: boolean,
  ) {
    this.listener = listen(
      (req, _res, call) => this.admit(req, call),
      (req) => this.chains.get(req)?.template(),
    );
  }

  readonly enter: FrameworkEntry = (req, res, chain) => {
    const served = servedCall(req);
    if (served !== undefined) {
      nameByRoute(served.call, chain);
      // Whoever governs it already counts it.
      if (!this.filters || this.admitted.has(req)) chain.proceed();
      else this.refuse(served, chain);
    } else if (isOver(res as ServerResponse)) {
      // Its client went away while the framework was busy with something else: its end would never be heard of.
      chain.answered?.();
    } else this.govern(req, res, chain);
  };

  private govern(...[req, res, chain]: Parameters<FrameworkEntry>): void {
    const { chains } = this;
    chains.set(req, chain);
    this.listener(req, res);
    // Most calls have been let in by now.
    if (chain.answered === undefined || !chains.has(req)) return;
    res.once('close', () => {
      if (chains.delete(req)) chain.answered?.();
    });
  }

  private admit(req: IncomingMessage, call: Call): unknown {
    const chain = this.chains.get(req);
    // A middleware of the user's that calls its handler twice: no framework can go on twice.
    if (chain === undefined) return undefined;
    this.chains.delete(req);
    if (this.filters) this.admitted.add(req);
    nameByRoute(call, chain);
    return chain.proceed();
  }

  /** Whoever gave `use` relies on it, to keep people out for example: better no answer than one past it. */
  private refuse(served: ServedCall, chain: FrameworkChain): void {
    served.fail(
      new TypeError(
        'this request is governed already, and `use` would be skipped: give it to what governs first, in a selector',
      ),
    );
    chain.answered?.();
  }
}

/**
 * Governs the requests of a web framework from within, by a middleware that the framework runs first. For adapters; with
 * `node:http` alone hand the handler to the listener.
 *
 * A call that is let in is the framework's to answer, errors included; one that is refused never reaches it. A request
 * that is governed already passes: the first who governs it counts it. It fails if it would pass by a `use` in this way. Of one that upgrades its connection the handshake is
 * governed: it can be refused, and is over when it is let in.
 *
 * @param listen - makes the governed listener of a handler; `route` may be given to it as `routes`, where the framework
 * knows its route before the request is let in
 * @param options - what the listener is made with, as far as it matters here
 */
export function frameworkEntry(
  listen: (handler: HttpHandler, route: (req: IncomingMessage) => string | undefined) => HttpListener,
  options?: { readonly use?: readonly unknown[] | undefined },
): FrameworkEntry {
  return new Entry(listen, (options?.use ?? []).length > 0).enter;
}
