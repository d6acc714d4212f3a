import type { App } from 'keelson';
import { relayTo } from './relay.js';

/** One call as whoever is called sees it, whatever the wire. */
export interface Inbound {
  /** What came along, by names in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How long the callee is told that its caller will wait; milliseconds. */
  readonly leftMs: number | undefined;
  /** Told when the caller has gone before the end. */
  onGone(told: () => void): void;
  /** The whole answer. */
  answer(text: string): void;
  /** The first part of it; `end` completes it. */
  begin(text: string): void;
  end(): void;
  /** The callee's own fault, in the words of the wire. */
  fail(): void;
  /** Too much to do, come back later: as any server of its kind says it, or as a server of keelson does. */
  shed(retryAfterMs: number, as: 'any' | 'keelson'): void;
}

/** A server that is made and does not listen yet. */
export interface Made {
  /** What `app.serve` takes. */
  readonly servable: Parameters<App['serve']>[0];
  /** Listens without an app. */
  listen(): Promise<number>;
  /** Lets go of connections that nobody uses: those of clients whose sockets are their users' business. */
  closeIdle(): void;
  close(): void;
}

/** Servers of one wire. */
export interface Callee {
  /** As in the URL of an instance. */
  readonly scheme: string;
  /** @param app - governs it; without one it is native */
  make(receive: (inbound: Inbound) => void, app?: App): Made | Promise<Made>;
}

/** A call that has arrived. */
export interface Arrival extends Inbound {
  readonly at: Replica;
  /** Its caller has gone. */
  readonly gone: boolean;
  /** It has been answered, or refused. */
  readonly over: boolean;
}

/** What a replica does with a call. */
export type Behaviour = (arrival: Arrival) => void;

export const answer: Behaviour = (arrival) => arrival.answer(arrival.at.name);
export const fail: Behaviour = (arrival) => arrival.fail();
export const die: Behaviour = (arrival) => arrival.at.kill();
/** Until the test goes on with it. */
export const hang: Behaviour = () => undefined;
export const begin: Behaviour = (arrival) => arrival.begin(arrival.at.name);
export const shed =
  (retryAfterMs: number, as: 'any' | 'keelson' = 'any'): Behaviour =>
  (arrival) =>
    arrival.shed(retryAfterMs, as);

/** One server of the service that is called. Behind a relay, so that it can die in the middle. */
export interface Replica {
  readonly name: string;
  readonly url: string;
  readonly arrivals: readonly Arrival[];
  /** Connections that were ever made to it, and those that are open. */
  readonly connections: number;
  readonly open: number;
  does: Behaviour;
  kill(): void;
  revive(): Promise<void>;
  closeIdle(): void;
  close(): void;
}

/** What all replicas share. */
export interface Ensemble {
  /** What is done with the next arrivals, at whichever replica. */
  readonly script: Behaviour[];
  /** All that arrived. */
  readonly arrivals: Arrival[];
}

export async function replica(callee: Callee, name: string, all: Ensemble): Promise<Replica> {
  const arrivals: Arrival[] = [];
  const made = await callee.make((inbound) => {
    let [gone, over] = [false, false];
    inbound.onGone(() => {
      gone = true;
    });
    const last =
      <Args extends readonly unknown[]>(act: (...args: Args) => void) =>
      (...args: Args): void => {
        over = true;
        act(...args);
      };
    const arrival: Arrival = {
      ...inbound,
      at: self,
      get gone() {
        return gone;
      },
      get over() {
        return over;
      },
      answer: last(inbound.answer),
      end: last(inbound.end),
      fail: last(inbound.fail),
      shed: last(inbound.shed),
    };
    arrivals.push(arrival);
    all.arrivals.push(arrival);
    (all.script.shift() ?? self.does)(arrival);
  });
  const relay = await relayTo(await made.listen());
  const self: Replica = {
    name,
    url: `${callee.scheme}://127.0.0.1:${relay.port}`,
    arrivals,
    get connections() {
      return relay.made;
    },
    get open() {
      return relay.open;
    },
    does: answer,
    kill: () => relay.kill(),
    revive: () => relay.revive(),
    closeIdle: () => {
      made.closeIdle();
      relay.closeUnused();
    },
    close: () => {
      relay.kill();
      made.close();
    },
  };
  return self;
}
