import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { EtcdApi } from './etcd-api.js';
import { prefixOf } from './etcd-keys.js';
import type { Publish } from './followed-service.js';
import type { ServiceInstance } from './instance.js';
import { readKratosJson } from './kratos-instance.js';
import { Pause } from './pause.js';
import { Late } from './within.js';

/** What an {@link EtcdFollow} needs. */
export interface EtcdFollowInit {
  readonly api: EtcdApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly namespace: string;
  readonly recheckMs: number;
  readonly service: string;
  readonly publish: Publish;
}

/** How long a change may be on its way to us while the store itself already shows it. */
const lagMs = 1_000;
/** Whoever writes keys without end must not fill our memory. */
const maxKeys = 65_536;

/** Follows the keys of one service: lists them, then hears of every change after that. */
export class EtcdFollow {
  private readonly prefix: string;
  /** For each key the instance, or why it is none. */
  private found = new Map<string, ServiceInstance | string>();
  /** How far the store was followed. */
  private revision = 0n;
  private readonly pause: Pause;

  constructor(private readonly init: EtcdFollowInit) {
    this.prefix = prefixOf(init.namespace, init.service);
    this.pause = new Pause(init.clock);
  }

  /** As `Follow` has it: rejects when it cannot go on. */
  async run(outer: AbortSignal): Promise<void> {
    const control = new AbortController();
    const giveUp = (): void => control.abort(outer.reason);
    outer.addEventListener('abort', giveUp);
    if (outer.aborted) giveUp();
    try {
      await Promise.race([this.watch(control.signal), this.check(control)]);
    } finally {
      outer.removeEventListener('abort', giveUp);
      this.pause.end();
      control.abort();
    }
  }

  private async watch(signal: AbortSignal): Promise<void> {
    await this.list(signal);
    for await (const news of this.init.api.watch(this.prefix, this.revision + 1n, signal)) {
      // Whoever is started anew finds in the list what was compacted away before we heard of it.
      if (news.type === 'compacted') throw new Error('etcd compacted what was not heard yet');
      this.apply(news.changes, news.revision);
    }
    throw new Error('etcd ended the watch');
  }

  private async list(signal: AbortSignal): Promise<void> {
    const { entries, revision } = await this.init.api.range(this.prefix, {}, { signal });
    this.found = new Map();
    this.revision = revision;
    for (const { key, value } of entries) this.take(key, value);
    this.show();
  }

  private apply(
    changes: readonly { readonly key: string; readonly value: string | undefined }[],
    revision: bigint,
  ): void {
    this.revision = revision;
    for (const { key, value } of changes) {
      if (value === undefined) this.found.delete(key);
      else this.take(key, value);
    }
    if (changes.length > 0) this.show();
  }

  private take(key: string, value: string): void {
    const { service } = this.init;
    if (!key.startsWith(this.prefix)) return;
    if (this.found.size >= maxKeys && !this.found.has(key))
      throw new RangeError(`etcd has more than ${maxKeys} keys of ${service}`);
    const id = key.slice(this.prefix.length);
    const instance = readKratosJson(value, { service, id });
    this.found.set(key, typeof instance === 'string' ? `${key.slice(0, 200)} ${instance}` : instance);
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

  /** A watch that hangs is silent, and so is one on which nothing happens: only asking tells them apart. */
  private async check(control: AbortController): Promise<void> {
    const { random, recheckMs } = this.init;
    const { signal } = control;
    while (!signal.aborted) {
      await this.pause.wait(recheckMs * (0.8 + 0.4 * random()));
      if (signal.aborted || !(await this.isBehind(signal))) continue;
      await this.pause.wait(lagMs);
      if (signal.aborted || !(await this.isBehind(signal))) continue;
      const late = new Late('the watch fell behind');
      control.abort(late);
      throw late;
    }
  }

  private async isBehind(signal: AbortSignal): Promise<boolean> {
    // Before the first list nothing can be missed.
    if (this.revision === 0n) return false;
    const before = this.revision;
    const part = { since: before + 1n, keysOnly: 1 };
    const { entries, count } = await this.init.api.range(this.prefix, part, { signal });
    return this.revision === before && (entries.length > 0 || count !== BigInt(this.found.size));
  }
}
