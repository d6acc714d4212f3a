import type { Outcome } from '../core/outcome.js';
import type { ResponseFlag } from '../core/response-flag.js';

/**
 * Who measured an edge: whoever called, whoever was called; of messages, whoever sent them or whoever took them. One side
 * alone is enough to know an edge; where both run keelson each has its own view, and the difference between their times is
 * what lies in between.
 */
export type EdgeSide = 'client' | 'server' | 'producer' | 'consumer';

/** Which time an {@link Edge} tells of: the last whole window, the one that has begun, or all since the start. */
export type EdgePeriod = 'last' | 'current' | 'total';

/** The name of a caller that did not say who it is, or is not believed; of a callee of messages, which nobody knows. */
export const unknownService = 'unknown';

/** Stands for the services and operations that there was no room for. */
export const otherService = 'other';

/** How some calls of an edge ended. */
export interface EdgeEnd {
  /** What it says of the callee. */
  readonly outcome: Outcome;
  /** Why there was no proper answer, if there was none. */
  readonly flag: ResponseFlag;
  /** How many. */
  readonly count: number;
}

/** How long calls took; milliseconds. Quantiles are estimates, to within 2 % of themselves. */
export interface EdgeDuration {
  /** All of them together. */
  readonly sum: number;
  /** The longest. */
  readonly max: number;
  /** Half of them took no longer. */
  readonly p50: number;
  /** 95 % took no longer. */
  readonly p95: number;
  /** 99 % took no longer. */
  readonly p99: number;
}

/** What one end of an edge is called. */
export interface EdgeName {
  /** Who measured it. */
  readonly side: EdgeSide;
  /** The service that calls, or sends messages. */
  readonly caller: string;
  /** The service that is called, or takes messages. */
  readonly callee: string;
  /** What is called: `GET /users/:id`, `/helloworld.Greeter/SayHello`; of messages `send` or `process`. */
  readonly operation: string;
  /** Of messages, where they wait: the name of a queue or topic. */
  readonly destination: string | undefined;
}

/** The calls from one service to one operation of another in one period. */
export interface Edge extends EdgeName {
  /** How many calls ended. A call that was tried several times is one. */
  readonly count: number;
  /** Those that failed, were shed or were refused, on whichever side. What a caller gave up itself is no error. */
  readonly errors: number;
  /** On a client: tries of these calls, copies included. Elsewhere the same as `count`. */
  readonly tries: number;
  /** How long they took, to the head of the answer. */
  readonly durationMs: EdgeDuration;
  /** How they ended, one entry for each way that occurred. */
  readonly ends: readonly EdgeEnd[];
  /** Bytes of requests or messages, as far as they were known; `undefined` if they never were. */
  readonly requestBytes: number | undefined;
  /** Bytes of answers. */
  readonly responseBytes: number | undefined;
}
