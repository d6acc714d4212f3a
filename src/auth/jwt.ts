import type { Call } from '../core/call.js';
import { isGovernanceError } from '../core/errors.js';
import type { Handler } from '../core/handler.js';
import { type Complaint, forbidden, tokenIn, unauthenticated } from './authorization.js';
import { frozen, type JwtClaims, verifiedClaims } from './claims.js';
import { type Jose, loadJose } from './jose.js';
import { type JwtOptions, type JwtSettings, jwtSettings } from './jwt-options.js';
import type { VerifyingKey } from './key.js';
import type { TokenHeader } from './key-source.js';
import { type Verified, VerifiedTokens } from './verified-tokens.js';

type VerifyOptions = NonNullable<Parameters<Jose['jwtVerify']>[2]>;

/** Keys without an id may be several that fit; more than a few are no set of one issuer. */
const mostKeys = 8;

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '');

/** Judges tokens, without memory. */
class Verifier {
  constructor(private readonly settings: JwtSettings) {}

  /** @throws (as a rejection) an error of `jose` for a bad token, GovernanceError when it cannot be told, or a fault */
  async verify(jose: Jose, token: string): Promise<JwtClaims> {
    const { keys } = this.settings;
    const options = this.options();
    try {
      const { payload } = await jose.jwtVerify(token, (header) => keys.find(header as TokenHeader), options);
      return frozen(payload) as JwtClaims;
    } catch (error) {
      if (codeOf(error) !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') throw error;
      return this.tryEach(jose, token, error as AsyncIterable<VerifyingKey>);
    }
  }

  private async tryEach(jose: Jose, token: string, keys: AsyncIterable<VerifyingKey>): Promise<JwtClaims> {
    let left = mostKeys;
    let last: unknown;
    for await (const key of keys) {
      if (left-- === 0) break;
      try {
        return frozen((await jose.jwtVerify(token, key, this.options())).payload) as JwtClaims;
      } catch (error) {
        if (codeOf(error) !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') throw error;
        last = error;
      }
    }
    throw last;
  }

  private options(): VerifyOptions {
    const { algorithms, requiredClaims, clockToleranceMs, clock, issuer, audience } = this.settings;
    const options: VerifyOptions = {
      algorithms: [...algorithms],
      requiredClaims: [...requiredClaims],
      clockTolerance: clockToleranceMs / 1000,
      currentDate: new Date(clock.wallMs()),
    };
    if (issuer !== undefined) options.issuer = typeof issuer === 'string' ? issuer : [...issuer];
    if (audience !== undefined) options.audience = typeof audience === 'string' ? audience : [...audience];
    return options;
  }
}

/** Lets calls pass that show a good token. */
class Guardian<Req, Res> {
  private readonly verifier: Verifier;
  private readonly known: VerifiedTokens;

  constructor(
    private readonly settings: JwtSettings,
    private readonly next: Handler<Req, Res>,
  ) {
    this.verifier = new Verifier(settings);
    this.known = new VerifiedTokens(settings.cacheMs === 0 ? 0 : settings.maxCached);
  }

  readonly handle: Handler<Req, Res> = (request, call) => {
    const header = call.headers.get('authorization');
    // By the header as it came: taking it apart costs more than all the rest.
    const claims = header && this.known.get(header, this.settings.clock.now());
    return claims ? this.admit(claims, request, call) : this.examine(header, request, call);
  };

  private examine(header: string | undefined, request: Req, call: Call): Promise<Res> {
    const { optional, maxTokenBytes } = this.settings;
    const shown = tokenIn(header, maxTokenBytes);
    if (shown.kind === 'malformed') return Promise.reject(unauthenticated(call, 'the token is not valid'));
    if (shown.kind === 'none') {
      if (optional) return this.next(request, call);
      return Promise.reject(unauthenticated(call, 'a token is required'));
    }
    return this.verified(shown.token, call).then(({ claims, until }) => {
      this.known.keep(header as string, claims, until);
      return this.admit(claims, request, call);
    });
  }

  private async verified(token: string, call: Call): Promise<Verified> {
    const { clock, cacheMs, clockToleranceMs } = this.settings;
    const now = clock.now();
    const wallMs = clock.wallMs();
    // Outside: that it is not installed is not the token's fault.
    const jose = await loadJose();
    try {
      const claims = await this.verifier.verify(jose, token);
      const leftMs = claims.exp === undefined ? cacheMs : claims.exp * 1000 + clockToleranceMs - wallMs;
      return { claims, until: now + Math.min(cacheMs, leftMs) };
    } catch (error) {
      throw this.blame(error, call);
    }
  }

  /** Whose fault an error is: the token's, unless it says itself, or keys that were given by hand cannot be used at all. */
  private blame(error: unknown, call: Call): unknown {
    if (isGovernanceError(error)) return error;
    const ofToken = codeOf(error).startsWith('ERR_J');
    if (!ofToken && this.settings.keys.fixed) return error;
    const complaint: Complaint =
      codeOf(error) === 'ERR_JWT_EXPIRED' ? 'the token has expired' : 'the token is not valid';
    return unauthenticated(call, complaint, error);
  }

  private admit(claims: JwtClaims, request: Req, call: Call): Promise<Res> {
    const { authorize } = this.settings;
    call.values.set(verifiedClaims, claims);
    if (authorize === undefined) return this.next(request, call);
    try {
      const allowed = authorize(claims, call);
      if (allowed === true) return this.next(request, call);
      if (allowed instanceof Promise) return allowed.then((late) => this.decide(late, request, call));
      return Promise.reject(forbidden(call));
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  private decide(allowed: boolean, request: Req, call: Call): Promise<Res> {
    return allowed === true ? this.next(request, call) : Promise.reject(forbidden(call));
  }
}

/**
 * Lets calls pass on a server that show a good JWT in `authorization: Bearer …`; what it says is then at `claimsOf(call)`.
 *
 * Use it in `use` of a server, together with `selector` to leave operations out. Not for tokens that are no JWT: these have
 * to be asked for at their issuer.
 *
 * A call without a good token is refused with 401 and `WWW-Authenticate` (gRPC 16), one that `authorize` refuses with 403
 * (gRPC 7). If the keys cannot be had it is 503 (gRPC 14): the token may be good; `remoteJwks` tells why (`onError`). Refused calls count in the limits of the
 * server, so that guessing is not free. What is wrong with a token stays in the refusal's `cause`; its sender hears only
 * whether it has expired.
 *
 * A token that was verified is remembered for `cacheMs`. So a key that its issuer takes back is refused only after that
 * time, and after the time that the keys themselves are kept (`remoteJwks`).
 *
 * @returns a middleware for any wire
 * @throws TypeError or RangeError for options that cannot work. Calls are rejected with GovernanceError `UNAUTHENTICATED`,
 * `PERMISSION_DENIED` or `AUTH_UNAVAILABLE`; with another error when the program's own keys cannot be read
 * @example
 * ```ts
 * const auth = jwt({ jwks: 'https://id.example/jwks.json', issuer: 'https://id.example', audience: 'orders' });
 * app.listener(handler, { use: [selector({ except: '/healthz', use: [auth] })], routes: ['/healthz'] });
 * ```
 *
 * Source: RFC 6750, RFC 8725; go-kratos/kratos `middleware/auth/jwt`, which answers 401 to everything, checks the algorithm
 * after the signature and takes tokens without an end.
 */
export function jwt(options: JwtOptions): <Req, Res>(next: Handler<Req, Res>) => Handler<Req, Res> {
  const settings = jwtSettings(options);
  return (next) => new Guardian(settings, next).handle;
}
