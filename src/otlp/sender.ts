import type { EncodingName } from './encoding.js';

/** What kind of data. */
export type Signal = 'traces' | 'metrics';

/** One request. */
export interface Consignment {
  readonly body: Buffer;
  readonly encoding: EncodingName;
  /** Whether the body is compressed. */
  readonly gzipped: boolean;
}

/** What became of a request. */
export type Answer =
  /** The collector has it, all but so many. */
  | { readonly kind: 'taken'; readonly rejected: number; readonly message: string }
  /** It did not get there, or the collector has no time; worth another try. */
  | { readonly kind: 'later'; readonly afterMs?: number | undefined; readonly why: string }
  /** The collector takes less at once. */
  | { readonly kind: 'too_large'; readonly why: string }
  /** The collector will never take it. */
  | { readonly kind: 'refused'; readonly reason: 'rejected' | 'export_failed'; readonly why: string };

/** Carries requests of one signal to a collector. */
export interface Sender {
  /** Whether bodies have to come compressed, or must not be. */
  readonly wantsGzip: boolean;
  /** Whether it can carry that form at all. */
  carries(encoding: EncodingName): boolean;
  /**
   * Sends a request, once.
   *
   * @param signal - ends it; nobody waits for its answer any more
   * @returns never rejects
   */
  send(consignment: Consignment, signal: AbortSignal): Promise<Answer>;
  /**
   * Lets go of what holds the process, where it cannot be told not to: requests that are under way come back without an answer.
   * The next one begins anew.
   */
  letGo?(): void;
  /** Lets go of connections. */
  close(): void;
}
