import type { EventEmitter } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { diag } from '@opentelemetry/api';
import { patch } from './patch.js';
import { openRequest, serveWithin } from './served-request.js';
import { isWrapper } from './spoken-for.js';
import { isUntraced } from './untraced.js';
import type { Witness } from './witness.js';

/** `emit` of a server, with any arguments. */
export type Emit = (this: EventEmitter, ...args: unknown[]) => boolean;

interface Emitting {
  emit: Emit;
}

/** A mistake here costs a span and never a request. */
export function attempted<T>(open: () => T | undefined): T | undefined {
  try {
    return open();
  } catch (fault) {
    diag.error('keelson: a request could not be traced', fault);
    return undefined;
  }
}

/** Tells of each request on servers of one class, while it is emitted. */
export function hookRequests(prototype: object, witness: Witness): () => void {
  return patch(prototype as Emitting, 'emit', (original, state) => {
    // An instrumentation that was there before makes its span within: ours would be around it.
    const elsewhere = isWrapper(original);
    return function emit(this: EventEmitter, ...args: unknown[]): boolean {
      if (args[0] !== 'request' || elsewhere || state.isOver || isUntraced(this))
        return original.apply(this, args);
      const req = args[1] as IncomingMessage;
      const within = attempted(() => openRequest(req, args[2] as ServerResponse, witness));
      return within === undefined
        ? original.apply(this, args)
        : serveWithin(within, req, () => original.apply(this, args));
    };
  });
}

/**
 * Traces what servers of `node:http` and `node:https` are asked, whenever they were made and however the modules were
 * loaded: their classes are patched, and a class is the same object for `import` and for `require`.
 *
 * The channel `http.server.request.start` would tell the same without a patch, but cannot run the listeners in a context.
 */
export function hookServers(witness: Witness): () => void {
  const undo = [http.Server, https.Server].map(({ prototype }) => hookRequests(prototype, witness));
  return () => {
    for (const one of undo) one();
  };
}
