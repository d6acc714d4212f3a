import type { ContextKey } from '@connectrpc/connect';
import type { CallOptions } from '../http/call-options.js';

/** What one call may decide for itself; its `timeoutMs` is native. */
export interface RpcOptions extends Pick<CallOptions, 'priority' | 'key' | 'hedge'> {
  /** Whether sending it twice does no more than sending it once. Without it the method decides. */
  readonly idempotent?: boolean | undefined;
}

/**
 * Under this key the context values of a call say how it is governed.
 *
 * @example
 * ```ts
 * const contextValues = createContextValues().set(governance, { priority: 10, idempotent: true });
 * await users.create(user, { contextValues });
 * ```
 */
export const governance: ContextKey<RpcOptions | undefined> = {
  id: Symbol.for('keelson.connect.governance'),
  defaultValue: undefined,
};
