import { isGovernanceError } from 'keelson/core';
import { httpCallee } from '../callees/http.js';
import { type Asking, type Ended, mine, type Subject, service } from '../subject.js';

/** Reads what `for await` can read. */
export function streamOf(source: AsyncIterable<Uint8Array>) {
  const parts = source[Symbol.asyncIterator]();
  return {
    next: async () => {
      const { value, done } = await parts.next();
      return done === true ? undefined : Buffer.from(value).toString();
    },
    leave: () => parts.return?.(),
  };
}

export const fetchSubject: Subject = {
  name: 'fetch',
  callee: httpCallee,
  natively: {
    failure: 'Response 500',
    death: 'TypeError',
    overload: 'Response 429',
    abort: 'the reason that its caller gave',
    deadline: 'GovernanceError DEADLINE_EXCEEDED',
    refusal: 'GovernanceError BREAKER_OPEN',
  },
  tell: (native) => {
    if (native === mine) return 'the reason that its caller gave';
    if (native instanceof Response) return `Response ${native.status}`;
    if (isGovernanceError(native)) return `GovernanceError ${native.code}`;
    return (native as Error).name;
  },
  connect: (app, { idempotent, ...policy }) => {
    const users = app.fetch(service, policy as never);
    const send = ({ timeoutMs, signal, metadata }: Asking) =>
      users('/x', {
        ...(idempotent ? {} : { method: 'POST', body: 'x' }),
        headers: { ...metadata },
        ...(signal === undefined ? {} : { signal }),
        keelson: { timeoutMs },
      });
    return {
      call: async (asking = {}): Promise<Ended> => {
        try {
          const response = await send(asking);
          const text = await response.text();
          return { ok: response.ok, by: response.ok ? text : undefined, native: response };
        } catch (error) {
          return { ok: false, by: undefined, native: error };
        }
      },
      open: async (asking = {}) => {
        const { body } = await send(asking);
        return streamOf(body as unknown as AsyncIterable<Uint8Array>);
      },
    };
  },
};
