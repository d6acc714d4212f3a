import type { ServiceList } from './discovery-wire.js';
import { ServiceView, type ServiceViewInit } from './service-view.js';

/** One service that a poller follows: what is known of it, and how far the node that told has been followed. */
export class WatchedService {
  readonly view: ServiceView;
  /** Who gave the timestamp. Every node stamps anew, so it means nothing to another one. */
  private node: string | undefined;
  private timestamp = 0n;

  constructor(
    readonly name: string,
    init: ServiceViewInit,
  ) {
    this.view = new ServiceView(init);
  }

  /** Whether a node has said anything of it since it was last trusted. */
  checkedBy(node: string): boolean {
    return this.node === node;
  }
  /** What to echo to a node. */
  timestampFor(node: string): bigint {
    return this.node === node ? this.timestamp : 0n;
  }

  /** A node gave this list, or said that it knows of none. @returns whether that is news */
  heard(node: string, list: ServiceList | undefined): boolean {
    if (this.node !== undefined && this.node !== node) this.view.doubt();
    this.node = node;
    // Also for an empty list: a timestamp that is not kept makes the next poll return at once, for ever.
    this.timestamp = list?.timestamp ?? 0n;
    return this.view.accept(list?.instances ?? []);
  }

  /** The node failed; whether it still is the same when it returns, with the same memory, nobody knows. */
  forget(): void {
    this.node = undefined;
    this.view.doubt();
  }
}
