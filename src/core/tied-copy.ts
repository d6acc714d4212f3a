import type { Attempt } from './call.js';
import type { Cancellation } from './cancel.js';
import { callKey } from './values.js';

/**
 * Header by which the copies of a tied call are known to be one call, on the request as {@link formatTied} writes it, and
 * with one word on what answers it: a {@link TiedState}.
 */
export const tiedHeader = 'x-keelson-tied';

/** What a request says of itself: which call it is a copy of, which of the two, and whether it may start by itself. */
export interface TiedMark {
  /** The same for both copies, and nobody else's: whoever knows it can take them back. */
  readonly id: string;
  /** 1 for the copy that was sent first. */
  readonly copy: number;
  /** `claim`: when its turn has come it waits to be let. */
  readonly mode: 'free' | 'claim';
}

/**
 * What a server knows of a copy.
 *
 * - `started`: its handler runs, or has run; of one that came twice, or was answered by something before the handler, it may.
 * - `withdrawn`: it never ran, and never will.
 * - `expired`: the same; nobody let it start in time.
 * - `duplicate`: this server has had the other copy; it did not run here.
 * - `granted`: it was waiting to be let, and starts.
 * - `unknown`: no such copy came here, or it is long gone.
 */
export type TiedState = 'started' | 'withdrawn' | 'expired' | 'duplicate' | 'granted' | 'unknown';

/** A UUID and nothing else: what comes from elsewhere is kept for a while, and must not be of any length or kind. */
const form = /^id=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}); copy=([12]); mode=(free|claim)$/;

/** Writes the header of a request: `id=0b7e…; copy=2; mode=free`. */
export function formatTied({ id, copy, mode }: TiedMark): string {
  return `id=${id}; copy=${copy}; mode=${mode}`;
}

/** Reads the header of a request. @returns `undefined` for what is not written exactly so */
export function parseTied(text: string | undefined): TiedMark | undefined {
  const parts = text === undefined ? null : form.exec(text);
  if (parts === null) return undefined;
  return { id: parts[1] as string, copy: Number(parts[2]), mode: parts[3] as TiedMark['mode'] };
}

const states: ReadonlySet<string> = new Set<TiedState>([
  'started',
  'withdrawn',
  'expired',
  'duplicate',
  'granted',
  'unknown',
]);

/** Reads the header of an answer. */
export function parseTiedState(text: string | null | undefined): TiedState | undefined {
  return typeof text === 'string' && states.has(text) ? (text as TiedState) : undefined;
}

/** What a sender can ask of a server about a copy that is there. Rejects when it cannot be asked. */
export interface TiedControl {
  /** Takes the copy back if it has not started. */
  withdraw(cancel: Cancellation): Promise<TiedState>;
  /** Lets a copy start that waits to be let. */
  grant(cancel: Cancellation): Promise<TiedState>;
}

/** One copy of a tied call, in the hands of the wire that carries it. A wire that knows nothing of this carries a call. */
export interface TiedCopy extends TiedMark {
  /**
   * To be called before it is sent, by wires that can hear of a start: from then on {@link heard} may come.
   *
   * @param control - how to ask the server about it; without it the copy can only be aborted
   * @returns `false` when it must not be sent: its callee is not known to wait to be let
   */
  carried(control: TiedControl | undefined): boolean;
  /** The server told that the handler starts, or waits to be let. Further ones count for nothing. */
  heard(): void;
  /** The answer is no answer: the server did not run it. To be called before the answer is handed on. */
  turnedAway(state: TiedState): void;
}

/** Finds what is tied to an attempt. Set by whoever ties, read by wires; most calls have none. */
export const tiedCopies = callKey<(attempt: Attempt) => TiedCopy | undefined>('keelson.tiedCopies');
