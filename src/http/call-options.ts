import { unknownOption } from '../core/option-names.js';
import { checkNumber, wrongKind } from '../core/options.js';

/** What one call may decide for itself. */
export interface CallOptions {
  /**
   * Name of the operation, of low cardinality: breakers, metrics and spans are kept by it. Without it the first match of
   * `routes` counts, else the method alone.
   */
  readonly operation?: string | undefined;
  /** How long the call may take to its response headers, all attempts together; milliseconds, above 0. */
  readonly timeoutMs?: number | undefined;
  /**
   * Importance: higher is kept longer under overload, 0 is usual; a whole number from -100 to 100. Without it that of the
   * inbound call. It also travels to the callee, as `x-md-global-priority`.
   */
  readonly priority?: number | undefined;
  /** For balancers that keep a key on an endpoint, and for limits by key. */
  readonly key?: string | undefined;
  /**
   * Whether sending it twice does no more than sending it once. Without it the method decides, and a header
   * `Idempotency-Key` makes any method so.
   */
  readonly idempotent?: boolean | undefined;
  /** `false` sends no second copy of this call while the first is slow. */
  readonly hedge?: boolean | undefined;
  /** `false` sends no second copy of this call while the first stands in line, where its client ties calls. */
  readonly tied?: boolean | undefined;
}

/** What `fetch` takes, and how this one call is governed. */
export interface GovernedInit extends RequestInit {
  /** How this one call is governed. */
  readonly keelson?: CallOptions | undefined;
}

/** Has the signature of `fetch`. */
export type GovernedFetch = (input: string | URL | Request, init?: GovernedInit) => Promise<Response>;

/** Options of one call by their names, with the type that each has. */
export type CallOptionKinds = Readonly<Record<string, 'boolean' | 'number' | 'string'>>;

const callOptions = {
  operation: 'string',
  timeoutMs: 'number',
  priority: 'number',
  key: 'string',
  idempotent: 'boolean',
  hedge: 'boolean',
  tied: 'boolean',
} as const satisfies { readonly [Name in keyof CallOptions]-?: CallOptionKinds[string] };

/** Numbers have ranges, and are left to whoever knows those. */
function checkNamed(owner: string, options: CallOptions, known: CallOptionKinds): void {
  // Its own: what is inherited was never meant for us, were it only what somebody added to all objects.
  for (const name of Object.keys(options)) {
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) throw unknownOption(owner, name, Object.keys(known));
    const value = options[name as keyof CallOptions];
    if (value !== undefined && kind !== 'number' && typeof value !== kind)
      throw wrongKind(`${owner}.${name}`, `a ${kind}`, value);
  }
}

/**
 * Checks the options of one call.
 *
 * @param owner - where the caller wrote them, for messages: `keelson`
 * @param known - which options there are
 * @throws TypeError for one that is unknown or of another kind, RangeError for a value that is out of range
 */
export function checkCallOptions(
  owner: string,
  options: CallOptions,
  known: CallOptionKinds = callOptions,
): CallOptions {
  if (typeof options !== 'object' || options === null) throw wrongKind(owner, 'an object', options);
  checkNamed(owner, options, known);
  const { timeoutMs, priority } = options;
  if (timeoutMs !== undefined) checkNumber(`${owner}.timeoutMs`, timeoutMs, { above: 0, infinite: true });
  if (priority !== undefined)
    checkNumber(`${owner}.priority`, priority, { min: -100, max: 100, integer: true });
  return options;
}
