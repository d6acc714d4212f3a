import { type App, type AppOptions, createApp } from 'keelson';
import type { Gate, Outcome } from 'keelson/core';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { expect, vi } from 'vitest';
import { type Arrival, type Behaviour, type Replica, replica } from './callee.js';
import { type Client, type Policy, type Subject, service } from './subject.js';

/** Polls, more often than usual: there are many of these. */
export const soon = <T>(check: () => T) => vi.waitFor(check, { timeout: 10_000, interval: 3 });

/** How one call to one replica ended, as a gate of that endpoint hears it. */
export interface Heard {
  readonly by: string;
  /** What the answer said, or whatever came instead. */
  readonly outcome: Outcome;
  /** How the rest of it went, if there was a rest. */
  readonly rest: Outcome | undefined;
}

/** Some replicas of a service, and an app that calls them. */
export interface Mesh {
  readonly app: App;
  /** That of the app: what waits waits for it. */
  readonly clock: ManualClock;
  readonly replicas: readonly [Replica, Replica, ...Replica[]];
  /** All that arrived, in the order in which it did. */
  readonly arrivals: readonly Arrival[];
  /** Those that have neither been answered nor given up. */
  waiting(): readonly Arrival[];
  /** Of calls that are over. */
  readonly heard: readonly Heard[];
  /** What calls are under way to any replica. */
  inflight(): number;
  /** What is done with the next arrivals, at whichever replica; after that each does what it does. */
  next(...behaviours: readonly Behaviour[]): void;
  client(policy?: Partial<Policy>): Client;
  /** Until so many calls have arrived. */
  arrived(count: number): Promise<readonly Arrival[]>;
  /** Until that many calls have ended thus, in this order. */
  ended(outcomes: readonly Outcome[]): Promise<unknown>;
  close(): Promise<void>;
}

const names = ['a', 'b', 'c'];

/** @param size - how many replicas; 1 to 3 */
export async function mesh(
  subject: Subject,
  size = 2,
  { clock = manualClock(1000), ...more }: Partial<AppOptions> = {},
): Promise<Mesh> {
  const script: Behaviour[] = [];
  const arrivals: Arrival[] = [];
  const replicas = await Promise.all(
    names.slice(0, size).map((name) => replica(subject.callee, name, { script, arrivals })),
  );
  const app = createApp({
    service: 'caller',
    endpoints: { [service]: replicas.map(({ url }) => url) },
    signals: false,
    clock,
    random: seededRandom(1),
    ...more,
  });
  const heard: Heard[] = [];
  const clients: Client[] = [];
  const recorder = ({ url }: { readonly url: string }): Gate => {
    const by = replicas.find((one) => one.url === url)?.name ?? url;
    return {
      code: 'OVERLOADED',
      tryAcquire: () => {
        let first: Outcome | undefined;
        let over = false;
        return {
          observe: (outcome) => {
            first ??= outcome;
          },
          release: (outcome) => {
            if (!over) heard.push({ by, outcome: first ?? outcome, rest: first && outcome });
            over = true;
          },
        };
      },
    };
  };
  const inflight = () =>
    app
      .snapshot()
      .flatMap(({ endpoints }) => endpoints)
      .reduce((sum, one) => sum + one.inflight, 0);
  return {
    app,
    clock: clock as ManualClock,
    replicas: replicas as unknown as Mesh['replicas'],
    arrivals,
    waiting: () => arrivals.filter(({ over, gone }) => !over && !gone),
    heard,
    inflight,
    next: (...behaviours) => void script.push(...behaviours),
    client: (policy = {}) => {
      const { gates = () => [], ...rest } = policy;
      const client = subject.connect(
        app,
        {
          idempotent: true,
          timeoutMs: 300_000,
          ejection: false,
          retry: { baseMs: 0 },
          retryBudget: { minPerSecond: 1000 },
          ...rest,
          gates: (endpoint) => [recorder(endpoint), ...gates(endpoint)],
        },
        clock,
      );
      clients.push(client);
      return client;
    },
    arrived: (count) =>
      soon(() => {
        expect(arrivals.length).toBeGreaterThanOrEqual(count);
        return arrivals;
      }),
    ended: (outcomes) => soon(() => expect(heard.map(({ outcome }) => outcome)).toEqual(outcomes)),
    close: async () => {
      try {
        // Whatever a test did, nothing of it is left.
        await soon(() => expect(inflight()).toBe(0));
        for (const client of clients) await client.close?.();
        await app.stop();
        await soon(() => {
          if (subject.ownConnections) for (const one of replicas) one.closeIdle();
          expect(replicas.map(({ open }) => open)).toEqual(replicas.map(() => 0));
        });
      } finally {
        await app.stop();
        for (const one of replicas) one.close();
      }
    },
  };
}
