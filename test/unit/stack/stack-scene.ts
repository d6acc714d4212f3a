import type { Endpoint, Handler, Protocol, Wire } from 'keelson/core';
import { type Call, type CallInit, createCall } from 'keelson/core';
import type { Resolution, Resolver, ServiceInstance } from 'keelson/discovery';
import { type ClientStackOptions, clientStack } from 'keelson/stack';
import {
  manualClock,
  type ScriptedHandler,
  type ScriptStep,
  scriptedHandler,
  seededRandom,
} from 'keelson/testing';

/** A response of the scripted wire: its status, and a body that ends when the test says so. */
export interface Reply {
  readonly status: number;
  readonly from: string;
  /** Ends the body; `undefined` where there is none. */
  readonly body?: Body;
}

export class Body {
  over = false;
  discarded = false;
  private readonly listeners: ((outcome: 'success' | 'ignored' | 'failure') => void)[] = [];
  listen(done: (outcome: 'success' | 'ignored' | 'failure') => void): boolean {
    if (this.over) return false;
    this.listeners.push(done);
    return true;
  }
  end(outcome: 'success' | 'ignored' | 'failure' = 'success'): void {
    if (this.over) return;
    this.over = true;
    for (const done of this.listeners) done(outcome);
  }
}

export const protocol: Protocol<string, Reply> = {
  classify: (reply) => {
    if (reply === undefined) return 'failure';
    if (reply.status === 429) return 'overload';
    return reply.status >= 500 ? 'failure' : 'success';
  },
  onEnd: (reply, done) => reply.body?.listen(done) ?? false,
  replay: (request) => request,
  discard: (reply) => {
    if (!reply.body) return;
    reply.body.discarded = true;
    reply.body.end('ignored');
  },
};

export function instance(id: string, more: Partial<ServiceInstance> = {}): ServiceInstance {
  return {
    id,
    service: 'users',
    hostname: id,
    addresses: [`test://${id}:1`],
    version: '',
    zone: '',
    env: '',
    region: '',
    weight: 100,
    status: 'up',
    metadata: {},
    ...more,
  };
}

/** A resolver that the test pushes to. */
export class Feed implements Resolver {
  watchers = 0;
  private push: ((resolution: Resolution) => void) | undefined;
  private last: Resolution | undefined;
  watch(_service: string, onChange: (resolution: Resolution) => void) {
    this.watchers++;
    this.push = onChange;
    if (this.last) onChange(this.last);
    return {
      close: () => {
        this.watchers--;
        this.push = undefined;
      },
    };
  }
  set(...ids: string[]): void {
    this.tell({ instances: ids.map((id) => instance(id)), stale: false });
  }
  tell(resolution: Resolution): void {
    this.last = resolution;
    this.push?.(resolution);
  }
}

type Step = ScriptStep<string, Reply>;

/** A client stack over a wire that answers by script, on a clock that stands still. */
export function scene(
  script: readonly Step[] | ((endpoint: Endpoint) => readonly Step[]),
  options: Partial<ClientStackOptions<string, Reply>> = {},
  ids: readonly string[] = ['a'],
) {
  const clock = manualClock(1000);
  const feed = new Feed();
  const servers = new Map<string, ScriptedHandler<string, Reply>>();
  const closed: string[] = [];
  const hostOf = ({ url }: Endpoint) => new URL(url).hostname;
  const wire: Wire<string, Reply> = {
    protocol,
    schemes: ['test'],
    connect: (endpoint) => {
      const steps = typeof script === 'function' ? script(endpoint) : script;
      const server = scriptedHandler({ script: steps, clock });
      servers.set(hostOf(endpoint), server);
      return { handler: server.handler, close: () => void closed.push(hostOf(endpoint)) };
    },
  };
  const stack = clientStack<string, Reply>({
    service: 'users',
    resolver: feed,
    wire,
    clock,
    random: seededRandom(1),
    ...options,
  });
  if (ids.length > 0) feed.set(...ids);
  const call = (init: Partial<CallInit> = {}): Call =>
    createCall({ side: 'client', service: 'users', operation: 'GET', idempotent: true, ...init });
  return { clock, feed, servers, closed, stack, call, ask: askOf(stack.handler, call) };
}

function askOf(handler: Handler<string, Reply>, call: (init?: Partial<CallInit>) => Call) {
  return (init?: Partial<CallInit>): Promise<string> =>
    handler('hi', call(init)).then(
      ({ status, from }) => `${status} ${from}`,
      (error: unknown) => (error as { code?: string }).code ?? String(error),
    );
}

/** `200 a` and so on, at once. */
export const answer = (status: number, from = 'x', more: Partial<Step> = {}): Step => ({
  answer: { status, from },
  ...more,
});
