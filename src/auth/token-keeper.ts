import type { Clock } from '../core/clock.js';
import { runWithoutCall } from '../core/current.js';
import { Pause } from './pause.js';
import { isToken, lifetimeOf } from './token-text.js';
import { within } from './within.js';

/** A token together with how long it is good for. */
export interface IssuedToken {
  /** The token. */
  readonly token: string;
  /** From now; milliseconds. Without it the `exp` of a JWT counts. */
  readonly expiresInMs?: number | undefined;
}

/** What a source of tokens answers with. */
export type TokenAnswer = string | IssuedToken;

/** How tokens are kept. */
export interface TokenKeeperSettings {
  /** Where they come from. */
  readonly source: () => TokenAnswer | PromiseLike<TokenAnswer>;
  /** How long before its end a token is renewed. */
  readonly refreshAheadMs: number;
  /** How long a token is used that does not tell its end. */
  readonly maxAgeMs: number;
  /** How long the source may take. */
  readonly timeoutMs: number;
  /** Tells the time and waits. */
  readonly clock: Clock;
}

/** A token in use. */
export interface HeldToken {
  readonly token: string;
  readonly renewAt: number;
  readonly until: number;
}

/** Least time between two tokens that were got; a source whose tokens have ended already must not be asked for each call. */
const restMs = 1000;
/** Longest time between two attempts to get one; milliseconds. */
const mostRestMs = 30_000;
/** Least time between two renewals because of a refusal: a callee that refuses all tokens must not cost one a call. */
const refusalRestMs = 5000;

/** Has one token for all calls: got once for all that wait, renewed before its end, kept while that fails. */
export class TokenKeeper {
  private held: HeldToken | undefined;
  private pending: Promise<HeldToken> | undefined;
  private lastError: unknown;
  private readonly pause = new Pause(mostRestMs);
  private restUntil = Number.NEGATIVE_INFINITY;
  private refusalsUntil = Number.NEGATIVE_INFINITY;

  constructor(private readonly settings: TokenKeeperSettings) {}

  /** A token that is good now: at once if there is one. */
  get(now: number): HeldToken | Promise<HeldToken> {
    const { held } = this;
    if (held !== undefined && now < held.renewAt) return held;
    const resting = now < this.restUntil;
    if (held !== undefined && (resting || now < held.until)) {
      if (!resting) this.renew(now).catch(() => undefined);
      return held;
    }
    return this.renew(now);
  }

  /**
   * Another token than one that a callee refused.
   *
   * @returns `undefined` when there is none to be had: the refusal is no matter of age then
   */
  async insteadOf(token: string, now: number): Promise<HeldToken | undefined> {
    const { held } = this;
    if (held !== undefined && held.token !== token && now < held.until) return held;
    if (this.pending === undefined) {
      if (now < this.refusalsUntil) return undefined;
      this.refusalsUntil = now + refusalRestMs;
    }
    const renewed = await this.renew(now);
    return renewed.token === token ? undefined : renewed;
  }

  private renew(now: number): Promise<HeldToken> {
    if (this.pending !== undefined) return this.pending;
    if (this.pause.failing && !this.pause.over(now)) return Promise.reject(this.lastError);
    this.pending = runWithoutCall(() => this.obtain());
    return this.pending;
  }

  private async obtain(): Promise<HeldToken> {
    const { source, timeoutMs, clock } = this.settings;
    try {
      // Not at once: a source that throws synchronously is to be a rejection too.
      const asking = Promise.resolve().then(source);
      const held = this.read(await within(asking, timeoutMs, clock));
      this.held = held;
      this.pause.succeeded(clock.now());
      this.restUntil = clock.now() + restMs;
      return held;
    } catch (error) {
      this.lastError = error;
      this.pause.failed(clock.now());
      throw error;
    } finally {
      this.pending = undefined;
    }
  }

  private read(answer: TokenAnswer): HeldToken {
    const issued: IssuedToken = typeof answer === 'string' ? { token: answer } : answer;
    const token = issued?.token;
    if (!isToken(token)) throw new TypeError('the source of tokens answered with something that is no token');
    const { clock, maxAgeMs, refreshAheadMs } = this.settings;
    const said = issued.expiresInMs ?? lifetimeOf(token, clock.wallMs());
    const lifetimeMs = said === undefined || Number.isNaN(said) ? maxAgeMs : Math.max(0, said);
    const now = clock.now();
    // Of a short life at most the second half is spent renewing.
    return {
      token,
      until: now + lifetimeMs,
      renewAt: now + lifetimeMs - Math.min(refreshAheadMs, lifetimeMs / 2),
    };
  }
}
