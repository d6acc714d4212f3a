import type { Clock } from '../core/clock.js';
import { TokenBucket } from '../stats/token-bucket.js';
import type { ConsulAgent } from './consul-agent.js';
import { readConsulList } from './consul-layout.js';
import type { Publish } from './followed-service.js';
import { type HttpReply, httpFailure } from './http-failure.js';
import { rest } from './pause.js';

/** How a list is read. */
export type ConsulReads = 'default' | 'stale' | 'consistent' | 'cached';

/** What a {@link ConsulFollow} needs. */
export interface ConsulFollowInit {
  readonly agent: ConsulAgent;
  readonly clock: Clock;
  readonly service: string;
  readonly publish: Publish;
  readonly pollMs: number;
  readonly pollGapMs: number;
  readonly requestTimeoutMs: number;
  readonly datacenter: string | undefined;
  readonly reads: ConsulReads;
}

/** So many polls may follow each other at once: the documentation's measure between promptness and a busy loop. */
const burst = 2;

/** Follows one service by blocking queries. */
export class ConsulFollow {
  private index = 0n;
  private readonly bucket: TokenBucket;

  constructor(private readonly init: ConsulFollowInit) {
    this.bucket = new TokenBucket(1_000 / init.pollGapMs, burst);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { service, publish } = this.init;
    while (!signal.aborted) {
      await this.turn(signal);
      const reply = await this.poll(signal);
      if (reply.status !== 200) throw httpFailure(reply);
      const { instances, skipped } = readConsulList(reply.text, service);
      const hidden = reply.headers['x-consul-results-filtered-by-acls'] === 'true';
      // Without the right to read there is no refusal: the list is just empty.
      if (hidden && instances.length === 0) throw new Error(`the token may not read ${service}`);
      publish(instances, hidden ? [...skipped, 'instances were hidden by ACLs'] : skipped);
      this.index = this.nextIndex(reply);
    }
  }

  /** Waits until the next poll may begin. */
  private async turn(signal: AbortSignal): Promise<void> {
    const { clock, pollGapMs } = this.init;
    while (!this.bucket.take(1, clock.now()) && !signal.aborted) {
      const missing = 1 - this.bucket.level(clock.now());
      await rest({ clock, signal }, Math.max(1, missing * pollGapMs));
    }
  }

  private poll(signal: AbortSignal): Promise<HttpReply> {
    const { agent, service, pollMs, requestTimeoutMs, datacenter, reads } = this.init;
    const query = new URLSearchParams({ passing: '1' });
    if (datacenter !== undefined) query.set('dc', datacenter);
    if (reads !== 'default') query.set(reads, '');
    const blocks = this.index > 0n;
    if (blocks) {
      query.set('index', String(this.index));
      query.set('wait', `${Math.ceil(pollMs)}ms`);
    }
    // The agent adds up to a sixteenth at random.
    const timeoutMs = blocks ? pollMs * (1 + 1 / 16) + requestTimeoutMs : requestTimeoutMs;
    const path = `/v1/health/service/${encodeURIComponent(service)}?${query}`;
    return agent.ask({ method: 'GET', path, timeoutMs, signal });
  }

  /**
   * Where to wait from. One that went back, as after a restored snapshot, would never be passed again: from the start
   * then. One of 0 would not wait at all, and 1 always does.
   */
  private nextIndex({ headers }: HttpReply): bigint {
    const text = headers['x-consul-index'];
    const told = typeof text === 'string' && /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
    if (told === 0n) return 1n;
    return told < this.index ? 0n : told;
  }
}
