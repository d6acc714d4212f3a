import type { App } from 'keelson';
import type { Clock, Gate } from 'keelson/core';
import type { ClientPolicy } from 'keelson/stack';
import type { Callee } from './callee.js';

/** How one call is made. */
export interface Asking {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** How one call ended, for its caller. */
export interface Ended {
  readonly ok: boolean;
  /** Name of the replica whose answer it was. */
  readonly by: string | undefined;
  /** What the native client gave: a response, or an error. */
  readonly native: unknown;
}

/** An answer that is read part by part. */
export interface Stream {
  /** `undefined` at the end. */
  next(): Promise<string | undefined>;
  /** As a reader leaves that has seen enough. */
  leave(): unknown;
}

/** A native client that is governed. */
export interface Client {
  /** Makes one call and reads the whole answer. */
  call(asking?: Asking): Promise<Ended>;
  /** The same for whoever reads the answer while it comes; only of clients that can. */
  open?(asking?: Asking): Promise<Stream>;
  /** Ends what belongs to the user and not to the app. */
  close?(): unknown;
}

/** How calls are governed, of what all wires have in common. */
export interface Policy
  extends Pick<
    ClientPolicy<never, never>,
    'timeoutMs' | 'perTryTimeoutMs' | 'retryBudget' | 'ejection' | 'resolveTimeoutMs'
  > {
  readonly idempotent: boolean;
  readonly retry?: { readonly attempts?: number; readonly baseMs?: number; readonly onRetry?: Waits } | false;
  readonly hedge?: { readonly delayMs: number } | false;
  readonly gates?: (endpoint: { readonly url: string }) => readonly Gate[];
}

type Waits = (failed: unknown, waitMs: number) => void;

/** In which ways a call ends that is not answered. */
export type Misfortune = 'failure' | 'death' | 'overload' | 'abort' | 'deadline' | 'refusal';

/** One row of the table: a client, how it is governed, and how it tells of misfortunes in its own words. */
export interface Subject {
  readonly name: string;
  readonly callee: Callee;
  readonly natively: Readonly<Record<Misfortune, string>>;
  connect(app: App, policy: Policy, clock: Clock): Client;
  /** Names what the native client gave. */
  tell(native: unknown): string;
  /** Its connections are its user's and stay open for a while: the app does not close them. */
  readonly ownConnections?: boolean;
  /** What it sends is taken as it comes and not kept, so that no call of it is sent twice, whatever its method allows. */
  readonly sendsOnce?: boolean;
  /** It tells nobody that a reader has left: the garbage collector finds out. */
  readonly leavesSilently?: boolean;
}

/** Whoever gives up gives this as the reason. */
export const mine = new Error('mine');

export const service = 'users';
