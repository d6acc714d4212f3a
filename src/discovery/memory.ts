import { Feed } from './feed.js';
import type { ServiceInstance } from './instance.js';
import type { Registry } from './registrar.js';

class Shelf {
  readonly feed = new Feed();
  private readonly instances = new Map<string, ServiceInstance>();

  constructor() {
    this.publish();
  }
  put(instance: ServiceInstance): () => void {
    this.instances.set(instance.id, instance);
    this.publish();
    return () => {
      // Somebody may have registered the same id anew since; theirs is not ours to take away.
      if (this.instances.get(instance.id) !== instance) return;
      this.instances.delete(instance.id);
      this.publish();
    };
  }
  private publish(): void {
    const instances = [...this.instances.values()].filter(({ status }) => status === 'up');
    this.feed.publish({ instances, stale: false });
  }
}

/**
 * A registry inside this process. All changes are pushed before `register` and `deregister` return.
 *
 * Use it in tests, and to run several apps in one process; they share one `memory()`. Nothing expires, and other
 * processes see nothing of it. Closing it does nothing, since one app must not take it from the others.
 *
 * @example
 * ```ts
 * const registry = memory();
 * const users = createApp({ service: 'users', registry });
 * const orders = createApp({ service: 'orders', registry });
 * ```
 */
export function memory(): Registry {
  const shelves = new Map<string, Shelf>();
  const shelfOf = (service: string): Shelf => {
    let shelf = shelves.get(service);
    if (!shelf) {
      shelf = new Shelf();
      shelves.set(service, shelf);
    }
    return shelf;
  };
  return {
    watch: (service, onChange) => shelfOf(service).feed.subscribe(onChange),
    register: async (instance) => {
      // A copy: a second registration of the same object is another one.
      let takeOut: (() => void) | undefined = shelfOf(instance.service).put({ ...instance });
      return {
        get registered() {
          return takeOut !== undefined;
        },
        deregister: async () => {
          takeOut?.();
          takeOut = undefined;
        },
      };
    },
    close: async () => undefined,
  };
}
