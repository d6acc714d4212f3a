import type { App } from 'keelson';
import type { Call, Gate } from 'keelson/core';

/** What a server does with a call: what the call asks for in a word, whatever the wire. */
export type Work = (what: string, call: Call | undefined) => Promise<string>;

/** How a server is governed, of what all wires have in common. */
export interface Governing {
  readonly limits: readonly Gate[];
  readonly timeoutMs?: number;
}

/** How one call is made. */
export interface Request {
  readonly leftMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What a native client without any governance is told. */
export interface Reply {
  /** `ok`, or the status in the words of the wire. */
  readonly status: string;
  readonly text: string | undefined;
  /** The code in the mark of a server that sheds. */
  readonly shed: string | undefined;
  /** When it asks to come back; milliseconds. */
  readonly retryAfterMs: number | undefined;
}

/** A native client of one server. */
export interface Asker {
  /** Rejects when there is no reply at all, and when the caller gave up. */
  ask(what: string, request?: Request): Promise<Reply>;
  close(): unknown;
}

/** What a server tells its clients of, in the words of its wire. */
export interface Words {
  /** A handler that failed. */
  readonly fault: string;
  /** One that has too much to do. */
  readonly overload: string;
  /** A call whose time is over. */
  readonly deadline: string;
  /** One of the server's own callees that has too much to do. */
  readonly calleeOverloaded: string;
}

/** One row of the table: how a server is written and governed, and how it is called. */
export interface ServerRow {
  readonly name: string;
  /** What its calls are named, whatever they ask for. */
  readonly operation: string;
  readonly words: Words;
  /** What `app.serve` takes. */
  make(app: App, work: Work, governing: Governing): Promise<Parameters<App['serve']>[0]>;
  asker(port: number): Asker;
}
