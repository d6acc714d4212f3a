import { type Context, context } from '@opentelemetry/api';
import { findGrpc, type GrpcClass } from './grpc-classes.js';
import { patch } from './patch.js';

/** By which method a call goes on that waits, in each of the classes of grpc-js that have it wait. */
const resumes: { readonly [Name in GrpcClass]?: string } = {
  ResolvingCall: 'getConfig',
  LoadBalancingCall: 'doPick',
};

type Method = (this: object, ...args: unknown[]) => unknown;

let kept = false;
let looked = false;

function keep(prototype: Record<string, Method>, resume: string | undefined): void {
  if (resume === undefined) return;
  if (typeof prototype['start'] !== 'function' || typeof prototype[resume] !== 'function') return;
  const contexts = new WeakMap<object, Context>();
  patch(prototype, 'start', (original) => {
    return function start(this: object, ...args: unknown[]): unknown {
      contexts.set(this, context.active());
      return original.apply(this, args);
    };
  });
  patch(prototype, resume, (original) => {
    return function resumed(this: object, ...args: unknown[]): unknown {
      return context.with(contexts.get(this) ?? context.active(), original, this, ...args);
    };
  });
}

/**
 * Has calls of grpc-js that wait for a connection go on in the context of whoever made them: they wait in a list, and would
 * go on in that of whoever opened the connection, and be spans of its trace.
 *
 * Looked for at the first request that is served, before which most programs have no trace, and at each connection until
 * grpc-js is there. Where calls of several traces wait for the first connection of a process that has served nothing so
 * far, all but the first of them are in the trace of the first.
 */
export function keepGrpcContext(): void {
  looked = true;
  if (kept) return;
  const found = findGrpc();
  for (const { name, prototype } of found) keep(prototype as Record<string, Method>, resumes[name]);
  kept = found.length > 0;
}

/** The same, unless it was looked for before: for what happens often. */
export function keepGrpcContextOnce(): void {
  if (!looked) keepGrpcContext();
}
