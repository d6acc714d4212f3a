import type { EventEmitter } from 'node:events';
import http2, { type ServerHttp2Stream } from 'node:http2';
import { syncBuiltinESMExports } from 'node:module';
import { type Context, context } from '@opentelemetry/api';
import { type Http2Headers, isGrpc } from './grpc-status.js';
import { patch } from './patch.js';
import { openRpc } from './served-rpc.js';
import { attempted, type Emit, hookRequests } from './server-hook.js';
import type { Witness } from './witness.js';

type Create = (this: unknown, ...args: unknown[]) => object;

/** Has all that listens to a stream run in its context: Node tells of data out of its own. */
function bind(stream: ServerHttp2Stream, within: Context): void {
  const emit = stream.emit as (this: unknown, ...args: unknown[]) => boolean;
  Object.defineProperty(stream, 'emit', {
    configurable: true,
    writable: true,
    value: (...args: unknown[]) => context.with(within, emit, stream, ...args),
  });
}

/** Tells of each stream of gRPC on servers of one class, while it is emitted. */
function hookStreams(prototype: object, witness: Witness): () => void {
  return patch(prototype as { emit: Emit }, 'emit', (original, state) => {
    return function emit(this: EventEmitter, ...args: unknown[]): boolean {
      const headers = args[2] as Http2Headers | undefined;
      if (args[0] !== 'stream' || headers === undefined || state.isOver || !isGrpc(headers))
        return original.apply(this, args);
      const stream = args[1] as ServerHttp2Stream;
      const within = attempted(() => openRpc(stream, headers, witness));
      if (within === undefined) return original.apply(this, args);
      bind(stream, within);
      return context.with(within, () => original.apply(this, args));
    };
  });
}

/**
 * Traces what servers of `node:http2` are asked: requests as those of HTTP/1, and calls of gRPC, which grpc-js takes as
 * streams. The classes of servers are found on the first one of each kind.
 */
export function hookHttp2Servers(witness: Witness): () => void {
  const undo: (() => void)[] = [];
  const seen = new Set<object>();
  const hooked = (server: object): object => {
    const prototype = Object.getPrototypeOf(server) as object;
    if (!seen.has(prototype)) {
      seen.add(prototype);
      undo.push(hookRequests(prototype, witness), hookStreams(prototype, witness));
    }
    return server;
  };
  const makers = http2 as unknown as Record<'createServer' | 'createSecureServer', Create>;
  for (const name of ['createServer', 'createSecureServer'] as const) {
    undo.push(
      patch(makers, name, (original, state) => {
        return function create(this: unknown, ...args: unknown[]): object {
          const server = original.apply(this, args);
          return state.isOver ? server : hooked(server);
        };
      }),
    );
  }
  syncBuiltinESMExports();
  return () => {
    for (const one of undo.splice(0).reverse()) one();
    syncBuiltinESMExports();
  };
}
