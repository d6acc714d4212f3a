import type { Publish } from './followed-service.js';
import type { ServiceInstance } from './instance.js';
import { readKratosJson } from './kratos-instance.js';
import { orAborted } from './within.js';
import { failure } from './zookeeper-protocol.js';
import { answered, type ZooKeeperTree } from './zookeeper-tree.js';
import type { WatchListener } from './zookeeper-watches.js';

/** What a {@link ZooKeeperFollow} needs. */
export interface ZooKeeperFollowInit {
  readonly tree: ZooKeeperTree;
  /** Of the service; its instances are below. */
  readonly path: string;
  readonly service: string;
  readonly publish: Publish;
}

/** Nodes that are read at once: answers come in order, and a server is not to be flooded. */
const batchSize = 128;
const maxTries = 5;

/** Follows the nodes of one service: reads them with watches on them, and again what a watch tells of. */
export class ZooKeeperFollow {
  /** For each node the instance, or why it is none. */
  private readonly found = new Map<string, ServiceInstance | string>();
  private readonly dirty = new Set<string>();
  private listDirty = true;
  private failed: Error | undefined;
  private wake: () => void = () => undefined;

  constructor(private readonly init: ZooKeeperFollowInit) {}

  /** As `Follow` has it: rejects when the session is over. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        if (this.listDirty) await this.list(signal);
        await this.read(signal);
        this.show();
        await orAborted(signal, () => this.change());
        if (this.failed !== undefined) throw this.failed;
      }
    } finally {
      this.init.tree.session.watches.forget(this);
    }
  }

  private async list(signal: AbortSignal): Promise<void> {
    this.listDirty = false;
    const listed = new Set(await this.names(signal));
    for (const name of this.found.keys()) if (!listed.has(name)) this.found.delete(name);
    for (const name of this.dirty) if (!listed.has(name)) this.dirty.delete(name);
    for (const name of listed) if (!this.found.has(name)) this.dirty.add(name);
  }

  private async names(signal: AbortSignal): Promise<string[]> {
    const { tree, path } = this.init;
    const listener = this.listener(() => {
      this.listDirty = true;
    });
    for (let tries = 0; tries < maxTries; tries++) {
      try {
        return await tree.children(path, { signal, listener });
      } catch (error) {
        if (!answered(error, failure.noNode)) throw error;
      }
      // Nobody has registered yet; unless it came to be just now.
      if ((await tree.exists(path, { signal, listener })) === undefined) return [];
    }
    throw new Error(`${path} comes and goes`);
  }

  private async read(signal: AbortSignal): Promise<void> {
    // What changes meanwhile has to wait: whoever changes without end must not keep the others from being shown.
    const names = [...this.dirty];
    this.dirty.clear();
    for (let from = 0; from < names.length; from += batchSize) {
      const batch = names.slice(from, from + batchSize);
      await Promise.all(batch.map((name) => this.readOne(name, signal)));
    }
  }

  private async readOne(name: string, signal: AbortSignal): Promise<void> {
    const { tree, path, service } = this.init;
    const node = `${path}/${name}`;
    const listener = this.listener(() => {
      // Of one that was taken out the list tells.
      if (this.found.has(name)) this.dirty.add(name);
    });
    try {
      // Known before it is read: a change meanwhile must not be lost.
      this.found.set(name, `${node} is being read`);
      const instance = readKratosJson(await tree.data(node, { signal, listener }), { service, id: name });
      this.found.set(name, typeof instance === 'string' ? `${node} ${instance}` : instance);
    } catch (error) {
      if (!answered(error, failure.noNode)) throw error;
      this.found.delete(name);
    }
  }

  private listener(then: () => void): WatchListener {
    return {
      owner: this,
      run: (error) => {
        if (error === undefined) then();
        else this.failed = error;
        this.wake();
      },
    };
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (this.failed !== undefined || this.listDirty || this.dirty.size > 0) resolve();
    });
  }

  private show(): void {
    const instances: ServiceInstance[] = [];
    const skipped: string[] = [];
    for (const item of this.found.values()) {
      if (typeof item === 'string') skipped.push(item);
      else instances.push(item);
    }
    this.init.publish(instances, skipped);
  }
}
