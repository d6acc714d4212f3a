import type { RpcMethod } from './rpc-method.js';

/** Which methods may be sent twice: all or none, those of a list, or those that a function names. */
export type IdempotentMethods = boolean | readonly string[] | ((method: RpcMethod) => boolean);

type Question = (method: RpcMethod) => boolean;

function listed(methods: readonly string[]): Question {
  for (const method of methods) {
    if (typeof method !== 'string' || method === '')
      throw new TypeError(`governedTransport.idempotent must list methods by name, got ${String(method)}`);
  }
  const known = new Set(methods);
  return ({ name, parent }) => known.has(name) || known.has(`/${parent.typeName}/${name}`);
}

function asked(methods: IdempotentMethods): Question {
  if (typeof methods === 'function') return (method) => methods(method) === true;
  if (typeof methods === 'boolean') return () => methods;
  if (Array.isArray(methods)) return listed(methods as readonly string[]);
  throw new TypeError(
    `governedTransport.idempotent must be a boolean, a list or a function, got ${String(methods)}`,
  );
}

/** google.protobuf.MethodOptions.IdempotencyLevel: NO_SIDE_EFFECTS and IDEMPOTENT. */
const harmless: ReadonlySet<number> = new Set([1, 2]);

/**
 * Makes the question once, so that a call only asks it. What a proto file says of a method always counts.
 *
 * @throws TypeError for what names no methods
 */
export function idempotentBy(methods: IdempotentMethods): Question {
  const besides = asked(methods);
  return (method) => harmless.has(method.idempotency) || besides(method);
}
