import { reasonOf } from './discovery-event.js';
import { type HttpReply, httpFailure } from './http-failure.js';
import type { HttpNodes, HttpQuestion } from './http-nodes.js';
import type { Tenure, Trial } from './kept-registration.js';
import { NotRegistered } from './refusal.js';

/** A token, or what gives the one of the moment. */
export type ConsulToken = string | (() => string | Promise<string>);

/** One Consul agent, asked with a token. */
export class ConsulAgent {
  constructor(
    private readonly nodes: HttpNodes,
    private readonly token: ConsulToken | undefined,
  ) {}

  /** @throws Error when there is no answer; what it says is not looked at */
  async ask(question: HttpQuestion): Promise<HttpReply> {
    const { token } = this;
    let given: string | undefined;
    try {
      given = typeof token === 'function' ? await token() : token;
    } catch (error) {
      throw new Error(`no token: ${reasonOf(error)}`, { cause: error });
    }
    const headers = { ...question.headers, ...(given ? { 'x-consul-token': given } : {}) };
    return this.nodes.ask({ ...question, headers });
  }
}

/** What a {@link ConsulTenure} needs. */
export interface ConsulTenureInit {
  readonly agent: ConsulAgent;
  readonly id: string;
  readonly checkId: string;
  /** The whole registration, as JSON. */
  readonly body: string;
  /** What its renewals say of it. */
  readonly state: 'pass' | 'warn';
}

/** In words, since before 1.11 the status was 500. */
const unknown = /unknown (check|service)|does not have associated TTL/i;

/** An instance as a service of one agent, with a check that has to be renewed. */
export class ConsulTenure implements Tenure {
  constructor(private readonly init: ConsulTenureInit) {}

  put(trial: Trial): Promise<void> {
    return this.send('/v1/agent/service/register?replace-existing-checks=true', trial, this.init.body);
  }
  keep(trial: Trial): Promise<void> {
    const { checkId, state } = this.init;
    return this.send(`/v1/agent/check/${state}/${encodeURIComponent(checkId)}`, trial);
  }
  remove(trial: Trial): Promise<void> {
    return this.send(`/v1/agent/service/deregister/${encodeURIComponent(this.init.id)}`, trial);
  }

  private async send(path: string, trial: Trial, body?: string): Promise<void> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const reply = await this.init.agent.ask({ method: 'PUT', path, headers, body, ...trial });
    if (reply.status === 200) return;
    const failure = httpFailure(reply);
    throw unknown.test(reply.text) ? new NotRegistered(failure.message) : failure;
  }
}
