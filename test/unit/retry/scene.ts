import {
  type Call,
  createCall,
  type Endpoint,
  type Handler,
  type Outcome,
  type Protocol,
} from 'keelson/core';

/** A response with just enough of HTTP. */
export interface Reply {
  readonly status: number;
  readonly retryAfterMs?: number;
}

export class BadRequest extends Error {}

function outcomeOf(status: number): Outcome {
  if (status === 429) return 'overload';
  if (status >= 500) return 'failure';
  return status >= 400 ? 'ignored' : 'success';
}

/** What the scene's wire knows, and what became of its responses. */
export function scene() {
  const discarded: Reply[] = [];
  const bodies = new Map<Reply, (outcome: Outcome) => void>();
  const protocol: Protocol<string, Reply> = {
    classify: (reply, error) =>
      reply === undefined ? (error instanceof BadRequest ? 'ignored' : 'failure') : outcomeOf(reply.status),
    feedback: ({ retryAfterMs }) => (retryAfterMs === undefined ? undefined : { retryAfterMs }),
    onEnd: (reply, done) => {
      bodies.set(reply, done);
      return true;
    },
    replay: (request) => (request.startsWith('stream') ? undefined : request),
    discard: (reply) => {
      discarded.push(reply);
    },
  };
  return { protocol, discarded, bodies };
}

export const endpoint = (id: string): Endpoint => ({ id, url: `http://${id}`, weight: 100, metadata: {} });

export const get = (init: Partial<Parameters<typeof createCall>[0]> = {}): Call =>
  createCall({ side: 'client', service: 'users', operation: 'GET', idempotent: true, ...init });

export type Step = Reply | Error | Promise<Reply> | ((call: Call) => Promise<Reply>);

/** A leaf that picks the first endpoint that is not to be avoided, and answers by the script. */
export function scripted(steps: readonly Step[], ids: readonly string[] = ['a', 'b', 'c']) {
  const seen: Call[] = [];
  const requests: string[] = [];
  const handler: Handler<string, Reply> = (request, call) => {
    const { attempt } = call;
    const id = ids.find((one) => !attempt.avoid?.has(one)) ?? ids[0];
    if (id !== undefined) {
      attempt.endpoint = endpoint(id);
      attempt.choices = ids.length;
    }
    const step = steps[seen.length];
    seen.push(call);
    requests.push(request);
    if (step === undefined) throw new Error(`no step for try ${seen.length}`);
    if (typeof step === 'function') return step(call);
    return step instanceof Error ? Promise.reject(step) : Promise.resolve(step);
  };
  const picks = () => seen.map(({ attempt }) => attempt.endpoint?.id ?? '-').join('');
  return { handler, seen, requests, picks };
}

/** A try that ends only by its call's abort. */
export const hanging = (call: Call): Promise<Reply> =>
  new Promise((_, reject) => {
    call.cancel.onAbort(() => reject(call.cancel.reason));
  });

/** Ends with what a promise came to. */
export const outcome = <T>(promise: Promise<T>): Promise<T | { thrown: unknown }> =>
  promise.catch((thrown: unknown) => ({ thrown }));
