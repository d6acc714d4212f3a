import { wrongKind } from '../core/options.js';
import { serviceNameHeader } from '../telemetry/service-name.js';
import type { EdgeMessage } from '../topology/message-edges.js';
import { checkOptions } from './policy-checks.js';

/** Options of the edges of an app. */
export interface AppEdgesOptions {
  /**
   * Length of a window, in milliseconds; 100 or more. A larger value shows a calmer picture, later.
   *
   * @defaultValue `10_000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Most edges that are kept apart; a whole number, 1 to 100 000. One costs 3 to 25 KB, by how much the times of its calls
   * differ. The calls of all further edges are counted together, as `other`.
   *
   * @defaultValue `500`
   */
  readonly maxEdges?: number | undefined;
  /**
   * Whether the bytes of HTTP bodies are counted, as far as `content-length` tells. It costs a look at the headers of each
   * call, a microsecond of a `Response`.
   *
   * @defaultValue `false`
   */
  readonly bytes?: boolean | undefined;
}

/** Defaults of {@link AppEdgesOptions}. */
export const appEdgesDefaults = { windowMs: 10_000, maxEdges: 500, bytes: false } as const;

const bounds = {
  windowMs: { min: 100 },
  maxEdges: { min: 1, max: 100_000, integer: true },
};

/** @throws TypeError or RangeError that names the option */
export function checkEdges(field: string, edges: AppEdgesOptions | false | undefined): void {
  if (edges === undefined || edges === false) return;
  if (typeof edges !== 'object' || edges === null) throw wrongKind(field, 'an object or false', edges);
  checkOptions(field, { known: appEdgesDefaults, bounds }, edges);
}

/** A message that was processed. */
export interface ProcessedMessage extends Omit<EdgeMessage, 'producer'> {
  /** What `spanToken` made where the message was sent: it tells whose it is. Left out: nobody knows. */
  readonly token?: unknown;
}

/** What a token says of who sent the message that it came with. */
export function producerOf(token: unknown): string | undefined {
  if (typeof token !== 'object' || token === null) return undefined;
  const name = (token as Readonly<Record<string, unknown>>)[serviceNameHeader];
  return typeof name === 'string' ? name : undefined;
}
