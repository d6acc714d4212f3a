import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { type Backoff, fullJitterMs } from './backoff.js';
import { type DiscoveryEvent, reasonOf } from './discovery-event.js';
import { isFields, type Reply, readList } from './discovery-wire.js';
import type { NodeRing } from './node-ring.js';
import { Pause } from './pause.js';
import type { Session } from './session.js';
import type { WatchedService } from './watched-service.js';

/** What a {@link Poller} needs. */
export interface PollerInit {
  readonly session: Session;
  readonly ring: NodeRing;
  readonly clock: Clock;
  readonly random: Random;
  /** Of this client alone: servers key parked polls by it. */
  readonly hostname: string;
  readonly env: string;
  readonly pollMs: number;
  readonly pollGapMs: number;
  readonly recheckMs: number;
  readonly rotateMs: number;
  readonly tell: (event: DiscoveryEvent) => void;
  /** Told of each question that was not answered. */
  readonly onFailure: () => void;
}

const retries: Backoff = { firstMs: 500, maxMs: 15_000 };
/** Answers that come at once and say nothing new: a server that does not park polls, or wakes everybody for nothing. */
const idlings: Backoff = { firstMs: 200, maxMs: 5_000 };
/** A poll that took longer than this was parked. */
const parkedMs = 1_000;
/** The server's own slack over the time it was asked to park. */
const graceMs = 10_000;
const notModified = -304;
const missing = -404;

/**
 * One loop for all watched services: fetch what the node has not told yet, then wait in a long poll for changes.
 *
 * Fetching again now and then is no luxury: when the last instance of a service leaves, the original server wakes
 * nobody and says nothing in later polls, and a change of status or labels by `/set` reaches only who was parked at
 * that instant.
 */
export class Poller {
  /** Whether the last question was answered: what is watched now will be known in a moment. */
  reached = false;
  private readonly services = new Map<string, WatchedService>();
  private readonly pause: Pause;
  /** The question under way, and whether it is a poll: only that one is worth giving up for another. */
  private control: AbortController | undefined;
  private parked = false;
  private running: Promise<void> | undefined;
  private closed = false;
  /** Rounds in a row that did not come to an end: how long to stay away. */
  private failures = 0;
  /** Rounds in a row in which nobody answered anything: whether the registry is lost. */
  private silent = 0;
  /** Polls in a row that came back at once with nothing new. */
  private idle = 0;
  private added = false;
  private polls = 0;
  private recheckAt = 0;
  private rotateAt = 0;

  constructor(private readonly init: PollerInit) {
    this.pause = new Pause(init.clock);
  }

  get(name: string): WatchedService | undefined {
    return this.services.get(name);
  }
  all(): IterableIterator<WatchedService> {
    return this.services.values();
  }

  /** Follows one more service. */
  add(service: WatchedService): void {
    this.services.set(service.name, service);
    this.added = true;
    // The poll under way does not name it.
    this.supersede();
    if (!this.closed) this.running ??= this.run().finally(() => this.ended());
  }

  /** Follows a service no more. */
  remove(service: WatchedService): void {
    if (this.services.get(service.name) === service) this.services.delete(service.name);
    service.view.close();
    if (this.services.size === 0) this.supersede();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.control?.abort(superseded);
    this.pause.end();
    for (const service of this.services.values()) service.view.close();
    await this.running;
  }

  private supersede(): void {
    if (this.parked) this.control?.abort(superseded);
  }

  private ended(): void {
    this.running = undefined;
    this.reached = false;
    // Somebody may have come between the last look and now.
    if (this.services.size > 0 && !this.closed) this.running = this.run().finally(() => this.ended());
  }

  private async run(): Promise<void> {
    // What is watched in one go is asked for in one go.
    await Promise.resolve();
    const { clock } = this.init;
    this.schedule(clock.now());
    while (this.services.size > 0 && !this.closed) {
      const startedAt = clock.now();
      const waitMs = await this.round(startedAt);
      await this.pause.wait(waitMs);
    }
  }

  /** @returns how long to stay away */
  private async round(startedAt: number): Promise<number> {
    const { clock, random, pollGapMs } = this.init;
    try {
      const node = this.choose(startedAt);
      this.added = false;
      let news = await this.fetch(node, startedAt);
      // Who came meanwhile is fetched before anything is parked: a poll keeps silent about a service that does not
      // exist.
      if (this.added || this.services.size === 0 || this.closed) return 0;
      const parkedAt = clock.now();
      news = (await this.poll(node)) || news;
      this.answered();
      this.failures = 0;
      this.idle =
        news || clock.now() - parkedAt >= Math.min(parkedMs, this.init.pollMs / 2) ? 0 : this.idle + 1;
      const gapMs = Math.max(0, pollGapMs - (clock.now() - startedAt));
      return this.idle === 0 ? gapMs : gapMs + fullJitterMs(this.idle, random, idlings);
    } catch (error) {
      if (this.closed) return 0;
      this.failed(error);
      return pollGapMs + fullJitterMs(++this.failures, random, retries);
    }
  }

  private answered(): void {
    this.reached = true;
    this.silent = 0;
  }

  private failed(error: unknown): void {
    // One failure is a node, a round of them is the registry.
    this.reached = false;
    const lost = ++this.silent >= this.init.session.round;
    for (const service of this.services.values()) {
      service.forget();
      if (lost) service.view.lose(reasonOf(error));
    }
    this.init.onFailure();
  }

  private choose(now: number): string {
    const { ring, random, rotateMs } = this.init;
    if (now >= this.rotateAt) {
      ring.rotate();
      this.rotateAt = now + rotateMs * (0.9 + 0.2 * random());
    }
    return ring.current;
  }

  private schedule(now: number): void {
    const { random, recheckMs, rotateMs } = this.init;
    this.recheckAt = now + recheckMs * (0.8 + 0.4 * random());
    if (this.rotateAt === 0) this.rotateAt = now + rotateMs * (0.9 + 0.2 * random());
  }

  /**
   * Asks for the lists of what this node has not told yet; of everything when that is due. @returns whether there was
   * news
   */
  private async fetch(node: string, now: number): Promise<boolean> {
    const due = now >= this.recheckAt;
    const asked = [...this.services.values()].filter((service) => due || !service.checkedBy(node));
    if (asked.length === 0) return false;
    const form = this.form(asked);
    form.set('status', '1');
    const control = new AbortController();
    this.control = control;
    const { session, clock } = this.init;
    const reply = await session.ask(node, { method: 'GET', path: '/discovery/fetchs', form, control });
    if (reply.code !== 0 && reply.code !== missing) throw this.rejected(node, reply);
    this.answered();
    if (due) this.schedule(clock.now());
    return this.spread(node, asked, reply, true);
  }

  /** Waits for a change. @returns whether there was one, or another reason to come back at once */
  private async poll(node: string): Promise<boolean> {
    const { session, hostname, clock } = this.init;
    // No longer than until the next recheck: what nobody announces should not wait for two things.
    const pollMs = Math.min(this.init.pollMs, Math.max(parkedMs, Math.ceil(this.recheckAt - clock.now())));
    const asked = [...this.services.values()];
    const form = this.form(asked);
    for (const service of asked) form.append('latest_timestamp', String(service.timestampFor(node)));
    // Another one for each poll: a server does not notice that a poll was given up, and would hand the next one's
    // answers to its ghost for as long as both bear the same name.
    form.set('hostname', `${hostname}-${++this.polls}`);
    const control = new AbortController();
    this.control = control;
    this.parked = true;
    try {
      const headers = { 'x1-bmspy-timeout': String(pollMs) };
      const timeoutMs = pollMs + graceMs;
      const question = {
        method: 'GET',
        path: '/discovery/polls',
        form,
        headers,
        control,
        timeoutMs,
      } as const;
      const reply = await session.ask(node, question);
      if (reply.code === notModified) return false;
      if (reply.code !== 0) throw this.rejected(node, reply);
      return this.spread(node, asked, reply, false);
    } catch (error) {
      if (control.signal.reason === superseded) return true;
      throw error;
    } finally {
      this.parked = false;
    }
  }

  /** An answer, but not to the question: another node may be of another mind. */
  private rejected(node: string, { code, message }: Reply): Error {
    this.init.ring.failed(node);
    return new Error(`${node}: code ${code} ${message}`);
  }

  private form(asked: readonly WatchedService[]): URLSearchParams {
    const form = new URLSearchParams({ env: this.init.env });
    for (const { name } of asked) form.append('appid', name);
    return form;
  }

  /** Hands everybody his part of an answer. @returns whether anything was news */
  private spread(node: string, asked: readonly WatchedService[], reply: Reply, complete: boolean): boolean {
    const { env, tell } = this.init;
    const byName = isFields(reply.data) ? reply.data : {};
    let news = false;
    for (const service of asked) {
      if (this.services.get(service.name) !== service) continue;
      const { name } = service;
      const malformed = (reason: string): void => tell({ type: 'malformed', service: name, reason });
      const info = Object.hasOwn(byName, name) ? byName[name] : undefined;
      const list = readList(info, name, env);
      if (list && list.skipped.length > 0) malformed(summary(node, list.skipped));
      if (list) news = service.heard(node, list) || news;
      else if (info !== undefined) malformed(`${node} answered with something that is no list`);
      else if (complete || reply.missing.includes(name)) news = service.heard(node, undefined) || news;
    }
    return news;
  }
}

/** One event, however much there is to complain of. */
function summary(node: string, skipped: readonly string[]): string {
  const more = skipped.length > 1 ? `, and ${skipped.length - 1} more left out` : '';
  return `${node}: ${skipped[0]}${more}`;
}

const superseded = Symbol('superseded');
