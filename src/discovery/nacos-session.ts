import type { Clock } from '../core/clock.js';
import { reasonOf } from './discovery-event.js';
import { type HttpReply, httpFailure } from './http-failure.js';
import type { HttpNodes } from './http-nodes.js';
import { RegistryRefusal } from './refusal.js';

/** Which API is spoken: `v1` up to Nacos 2, `v3` from Nacos 3. */
export type NacosApi = 'v1' | 'v3';

/** Who asks. */
export interface NacosUser {
  readonly username: string;
  readonly password: string;
}

/** What a {@link NacosSession} needs. */
export interface NacosSessionInit {
  readonly nodes: HttpNodes;
  readonly clock: Clock;
  /** Undefined to find out. */
  readonly api: NacosApi | undefined;
  readonly user: NacosUser | undefined;
}

/** One question, in terms of either API. */
export interface NacosQuestion {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the API: `/ns/instance`. */
  readonly path: string;
  readonly form: URLSearchParams;
  readonly timeoutMs?: number | undefined;
  readonly holdsProcess?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

type How = Pick<NacosQuestion, 'timeoutMs' | 'holdsProcess' | 'signal'>;

const prefixes = { v1: '/v1', v3: '/v3/client' } as const;
const logins = { v1: '/v1/auth/login', v3: '/v3/auth/user/login' } as const;
/** There is no such thing, or no longer: the server speaks another API. */
const otherApi: readonly number[] = [404, 405, 410];
/** The token is unknown, or too old; or the user may not. The statuses do not tell which. */
const denied: readonly number[] = [401, 403];
const formType = { 'content-type': 'application/x-www-form-urlencoded' };

interface Token {
  readonly text: string;
  readonly until: number;
}

/** Asks Nacos servers, in their API and with a token that is renewed. */
export class NacosSession {
  private api: NacosApi | undefined;
  private token: Token | undefined;

  constructor(private readonly init: NacosSessionInit) {
    this.api = init.api;
  }

  /**
   * Which API the servers speak; asked once, by a list of a service that there need not be.
   *
   * @throws Error when no server can be asked
   */
  async spoken(how: How): Promise<NacosApi> {
    if (this.api !== undefined) return this.api;
    const form = new URLSearchParams({ serviceName: 'keelson' });
    const { status, text, node } = await this.init.nodes.ask({
      method: 'GET',
      path: `/v3/client/ns/instance/list?${form}`,
      ...how,
    });
    if (status >= 500) throw httpFailure({ status, text, node, headers: {} });
    this.api = otherApi.includes(status) ? 'v1' : 'v3';
    return this.api;
  }

  /**
   * Asks, with a token where there is a user.
   *
   * @returns the text of an answer of status 200
   * @throws RegistryRefusal when the server refuses, Error when there is no answer
   */
  async ask(question: NacosQuestion): Promise<string> {
    let reply = await this.once(question);
    if (denied.includes(reply.status) && this.init.user) {
      // It may just be too old: servers with clocks of their own, or a secret that was changed.
      this.token = undefined;
      reply = await this.once(question);
    }
    if (reply.status === 200) return reply.text;
    // After a change of version the API may be another.
    if (otherApi.includes(reply.status)) this.api = this.init.api;
    throw httpFailure(reply);
  }

  private async once(question: NacosQuestion): Promise<HttpReply> {
    const { method, path, form, timeoutMs, holdsProcess, signal } = question;
    const how = { timeoutMs, holdsProcess, signal };
    const api = await this.spoken(how);
    const token = await this.tokenOf(api, how);
    const headers = { ...formType, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    // Not every server looks for a form in the body of anything else.
    const inBody = method === 'POST';
    return this.init.nodes.ask({
      method,
      path: `${prefixes[api]}${path}${inBody ? '' : `?${form}`}`,
      headers,
      body: inBody ? form.toString() : undefined,
      ...how,
    });
  }

  private async tokenOf(api: NacosApi, how: How): Promise<string | undefined> {
    const { clock, nodes, user } = this.init;
    if (user === undefined) return undefined;
    if (this.token !== undefined && clock.now() < this.token.until) return this.token.text;
    const body = new URLSearchParams({ ...user }).toString();
    const path = logins[api];
    const reply = await nodes.ask({ method: 'POST', path, headers: formType, body, ...how });
    if (reply.status !== 200) throw httpFailure(reply);
    this.token = readToken(reply.text, clock.now());
    return this.token.text;
  }
}

const longestMs = 86_400_000;

function readToken(text: string, now: number): Token {
  let told: { readonly accessToken?: unknown; readonly tokenTtl?: unknown } | null;
  try {
    told = JSON.parse(text);
  } catch (error) {
    throw new Error(`the login is not JSON: ${reasonOf(error)}`, { cause: error });
  }
  const token = told?.accessToken;
  if (typeof token !== 'string' || token === '') throw new RegistryRefusal('the login gave no token');
  const ttlMs = Number(told?.tokenTtl) * 1_000;
  // A tenth of it is left for clocks that differ.
  return { text: token, until: now + 0.9 * Math.min(longestMs, ttlMs > 0 ? ttlMs : longestMs) };
}
