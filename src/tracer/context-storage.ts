import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, type ContextManager, ROOT_CONTEXT } from '@opentelemetry/api';

/** What an event emitter is known by. */
interface Emitter {
  emit(...args: unknown[]): unknown;
  on(...args: unknown[]): unknown;
  removeListener(...args: unknown[]): unknown;
}

function isEmitter(target: unknown): target is Emitter {
  if (typeof target !== 'object' || target === null) return false;
  const { emit, on, removeListener } = target as Partial<Emitter>;
  return typeof emit === 'function' && typeof on === 'function' && typeof removeListener === 'function';
}

class ContextStorage implements ContextManager {
  private readonly storage = new AsyncLocalStorage<Context>();
  private readonly bound = new WeakSet<object>();

  active(): Context {
    return this.storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    // Without a receiver there is nothing to bind, and binding costs more than the rest.
    if (thisArg === undefined || thisArg === null) return this.storage.run(context, fn, ...args);
    return this.storage.run(context, () => fn.call(thisArg, ...args));
  }

  bind<T>(context: Context, target: T): T {
    if (typeof target === 'function')
      return this.bindFunction(context, target as unknown as (...args: unknown[]) => unknown) as T;
    if (isEmitter(target)) this.bindEmitter(context, target);
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.storage.disable();
    return this;
  }

  private bindFunction(context: Context, target: (...args: unknown[]) => unknown): unknown {
    const { storage } = this;
    const bound = function (this: unknown, ...args: unknown[]): unknown {
      return storage.run(context, () => target.apply(this, args));
    };
    return Object.defineProperty(bound, 'length', { value: target.length, configurable: true });
  }

  /**
   * All that is emitted runs in the context. Listeners stay what they are, so that they can be counted and removed; the SDK
   * wraps each. The first context counts, as there.
   */
  private bindEmitter(context: Context, emitter: Emitter): void {
    if (this.bound.has(emitter)) return;
    this.bound.add(emitter);
    const { storage } = this;
    const { emit } = emitter;
    emitter.emit = function (this: unknown, ...args: unknown[]): unknown {
      return storage.run(context, () => emit.apply(this as Emitter, args));
    };
  }
}

/**
 * Makes a context manager over an `AsyncLocalStorage`, to be registered with `context.setGlobalContextManager`.
 *
 * Only `run`, never `enterWith`: what was entered and not left stays in all that is started then, and what that holds is
 * held for good. What is kept all the same, by a socket of a pool or a timer that repeats, is a context with a span that
 * has let go of what was recorded.
 *
 * @example
 * ```ts
 * context.setGlobalContextManager(contextStorage());
 * ```
 */
export function contextStorage(): ContextManager {
  return new ContextStorage();
}
