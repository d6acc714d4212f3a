import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import { refusal } from '../core/errors.js';
import { type Handler, invoke, type Middleware } from '../core/handler.js';
import { resolveOptions } from '../core/options.js';
import { checkProtocol, discard, type Protocol } from '../core/protocol.js';
import { callKey } from '../core/values.js';
import { type HeldToken, type TokenAnswer, TokenKeeper } from './token-keeper.js';
import { isToken } from './token-text.js';
import { isUnauthenticated } from './unauthenticated.js';

/** Options of {@link bearer}. One of `token` and `tokenFor` must be given. */
export interface BearerOptions<Req, Res> {
  /**
   * The token for all calls, or what gets one: it is asked once for all calls that wait, and again shortly before the end
   * that the token itself tells (`exp` of a JWT, or `expiresInMs` beside it).
   *
   * @defaultValue none
   */
  readonly token?: string | (() => TokenAnswer | PromiseLike<TokenAnswer>) | undefined;
  /**
   * The token of one call, asked for each: what depends on the call, or on whom it is made for, must not be kept for
   * others. `undefined` sends none.
   *
   * @defaultValue none
   */
  readonly tokenFor?: ((call: Call) => string | undefined | PromiseLike<string | undefined>) | undefined;
  /**
   * What the wire knows of its messages: `httpProtocol` for fetch. With it a call whose token was refused is sent once more
   * with a new one, if its request can be sent twice; without it only later calls get a new one.
   *
   * @defaultValue `undefined`
   */
  readonly protocol?: Protocol<Req, Res> | undefined;
  /**
   * How long before its end a token is renewed, in the background, in milliseconds; 0 or more, never more than half of its
   * life. A larger value forgives a slower issuer.
   *
   * @defaultValue `60_000`
   */
  readonly refreshAheadMs?: number | undefined;
  /**
   * How long a token is used that does not tell its end, in milliseconds; above 0. A smaller value asks the source more
   * often. No effect on a token that is given as text.
   *
   * @defaultValue `300_000`
   */
  readonly maxAgeMs?: number | undefined;
  /**
   * How long the source may take, in milliseconds; above 0. A larger value lets calls wait for longer, at most until their
   * own deadline.
   *
   * @defaultValue `5000`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Whether an answer, or an error, says that the token was refused. What it throws fails the call.
   *
   * @defaultValue HTTP 401 and gRPC 16, as `status` or `code` of either, or of the `response` in an error
   */
  readonly refused?: ((response: Res | undefined, error: unknown) => boolean) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link BearerOptions}. */
export const bearerDefaults = {
  token: undefined,
  tokenFor: undefined,
  protocol: undefined,
  refreshAheadMs: 60_000,
  maxAgeMs: 300_000,
  timeoutMs: 5000,
  /** HTTP 401, gRPC 16. */
  refused: isUnauthenticated,
  clock: systemClock,
} as const;

type Settings<Req, Res> = {
  readonly [Field in keyof BearerOptions<Req, Res>]-?: BearerOptions<Req, Res>[Field];
} & {
  readonly [Field in 'refreshAheadMs' | 'maxAgeMs' | 'timeoutMs']: number;
} & { readonly clock: Clock; readonly refused: (response: Res | undefined, error: unknown) => boolean };

/** What was attached here, to be told from what the caller itself gave: tries of one call hand their headers on. */
const attached = callKey<string>('keelson.bearer');
const header = 'authorization';

function attach(call: Call, token: string): void {
  const value = `Bearer ${token}`;
  call.values.set(attached, value);
  call.headers.set(header, value);
}

/** Whether the caller brought an authorization of its own. */
function bringsOwn(call: Call): boolean {
  const present = call.headers.get(header);
  return present !== undefined && present !== call.values.get(attached);
}

/** Nothing was sent then, whatever the reason: no endpoint is to blame, not even for time that ran out meanwhile. */
function tokenless({ service }: Call, cause: unknown): Error {
  return refusal('AUTH_UNAVAILABLE', `${service}: no token could be had`, { cause, service, side: 'client' });
}

/** Waits for what all calls share, until one call is given up. */
function waited<T>(promise: PromiseLike<T>, call: Call): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = call.cancel.onAbort(() => reject(tokenless(call, call.cancel.reason)));
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error: unknown) => {
        forget();
        reject(tokenless(call, error));
      },
    );
  });
}

/** An ending, to be given on as it came. */
type Ending<Res> = { readonly response: Res } | { readonly error: unknown };

function resume<Res>(ending: Ending<Res>): Res {
  if ('error' in ending) throw ending.error;
  return ending.response;
}

class Bearer<Req, Res> {
  constructor(
    private readonly settings: Settings<Req, Res>,
    private readonly keeper: TokenKeeper,
    private readonly next: Handler<Req, Res>,
  ) {}

  readonly handle: Handler<Req, Res> = (request, call) => {
    if (bringsOwn(call)) return this.next(request, call);
    const held = this.keeper.get(this.settings.clock.now());
    return held instanceof Promise
      ? waited(held, call).then((fresh) => this.send(request, call, fresh))
      : this.send(request, call, held);
  };

  private send(request: Req, call: Call, { token }: HeldToken): Promise<Res> {
    attach(call, token);
    const { refused } = this.settings;
    const again = (ending: Ending<Res>): Promise<Res> => this.renewed(request, call, { token, ending });
    return invoke(this.next, request, call).then(
      (response) => (refused(response, undefined) === true ? again({ response }) : response),
      (error: unknown) => {
        if (refused(undefined, error) === true) return again({ error });
        throw error;
      },
    );
  }

  /** Once, and only where the request can be sent twice; a refusal says that the first one was not carried out. */
  private async renewed(
    request: Req,
    call: Call,
    { token, ending }: { readonly token: string; readonly ending: Ending<Res> },
  ): Promise<Res> {
    const { protocol, clock } = this.settings;
    const renewing = this.keeper.insteadOf(token, clock.now());
    const box = protocol && replayed(protocol, request);
    if (protocol === undefined || box === undefined) {
      renewing.catch(() => undefined);
      return resume(ending);
    }
    let fresh: HeldToken | undefined;
    try {
      fresh = await waited(renewing, call);
    } catch {
      // What the callee said tells more than that there is no other token.
    }
    if (fresh === undefined) return resume(ending);
    if ('response' in ending) discard(protocol, ending.response);
    attach(call, fresh.token);
    return this.next(box.request, call);
  }
}

/** In a box: a request may be `undefined`. */
function replayed<Req, Res>(
  protocol: Protocol<Req, Res>,
  request: Req,
): { readonly request: Req } | undefined {
  if (protocol.replay === undefined) return { request };
  const again = protocol.replay(request);
  return again === undefined ? undefined : { request: again };
}

function perCall<Req, Res>(tokenFor: NonNullable<BearerOptions<Req, Res>['tokenFor']>): Middleware<Req, Res> {
  const ask = async (call: Call): Promise<string | undefined> => {
    const token = await tokenFor(call);
    if (token === undefined || isToken(token)) return token;
    throw new TypeError('bearer.tokenFor answered with something that is no token');
  };
  return (next) => (request, call) => {
    if (bringsOwn(call)) return next(request, call);
    return waited(ask(call), call).then((token) => {
      if (token !== undefined) attach(call, token);
      return next(request, call);
    });
  };
}

/**
 * Shows a token to whoever is called: `authorization: Bearer …`, got when it is needed and renewed before its end.
 *
 * Use it per attempt (`useAttempt`): there every try carries the token of its moment, and nothing that leads elsewhere does.
 * A redirect to another origin is followed without it. A call that brings an `authorization` of its own keeps it.
 *
 * While a new token is fetched, calls go on with the old one as long as that is good; calls that have none wait. If the
 * source fails it is asked again after a second, later after up to thirty, and calls without a token are refused. That is
 * held against no endpoint, since none was asked. A token that a callee refuses is renewed at most every five seconds.
 *
 * @throws TypeError or RangeError for options that cannot work. Calls are rejected with GovernanceError
 * `AUTH_UNAVAILABLE`, its `cause` what the source threw
 * @example
 * ```ts
 * const token = async () => (await login()).accessToken;
 * const users = app.fetch('users', { useAttempt: [bearer({ token, protocol: httpProtocol })] });
 * ```
 *
 * Source: RFC 6750; OAuth clients of Envoy and of Spring Security for renewal ahead of time. Kratos signs a token for each
 * request instead; `jwtSigner` makes them here.
 */
// biome-ignore lint/suspicious/noExplicitAny: of messages that it does not look at; kept in a variable it would fit no client else
export function bearer<Req = any, Res = any>(options: BearerOptions<Req, Res>): Middleware<Req, Res> {
  const settings = resolveOptions<Settings<Req, Res>>(
    'bearer',
    bearerDefaults as Settings<Req, Res>,
    options,
    {
      refreshAheadMs: { min: 0 },
      maxAgeMs: { above: 0 },
      timeoutMs: { above: 0 },
    },
  );
  const { token, tokenFor, protocol } = settings;
  if ((token === undefined) === (tokenFor === undefined))
    throw new TypeError('bearer: one of token and tokenFor must be given, and only one');
  if (protocol !== undefined) checkProtocol('bearer.protocol', protocol);
  if (tokenFor !== undefined) {
    if (typeof tokenFor !== 'function') throw new TypeError('bearer.tokenFor must be a function');
    return perCall(tokenFor);
  }
  if (typeof token === 'function') {
    const keeper = new TokenKeeper({ ...settings, source: token });
    return (next) => new Bearer(settings, keeper, next).handle;
  }
  // The value is not shown: messages go into logs.
  if (!isToken(token))
    throw new TypeError('bearer.token must be printable ASCII without blanks, or a function');
  return (next) => (request, call) => {
    if (!bringsOwn(call)) attach(call, token);
    return next(request, call);
  };
}
