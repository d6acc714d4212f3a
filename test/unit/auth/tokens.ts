import type { Call } from 'keelson/core';
import { carrier, compose, createCall, type Handler, isGovernanceError, type Middleware } from 'keelson/core';

export const secret = '0123456789abcdef0123456789abcdef';

export const inbound = (authorization?: string): Call =>
  createCall({
    side: 'server',
    service: 'orders',
    operation: 'GET /orders',
    headers: carrier(authorization === undefined ? {} : { authorization }),
  });

/** What a call with that header comes to: `ok`, or the code of its refusal. */
export const outcomeOf = (middleware: Middleware<undefined, string>) => {
  const handler = compose<undefined, string>([middleware], async () => 'ok');
  return async (authorization?: string): Promise<string> => {
    try {
      return await handler(undefined, inbound(authorization));
    } catch (error) {
      return isGovernanceError(error) ? error.code : `fault: ${(error as Error).message}`;
    }
  };
};

const base64url = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token of any parts, for what no honest signer would make. */
export const forged = (header: unknown, payload: unknown, signature = 'AAAA') =>
  `${base64url(header)}.${base64url(payload)}.${signature}`;

export const rejection = async (running: Promise<unknown>): Promise<Error> =>
  running.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: Error) => error,
  );

export const run = <Res>(middleware: Middleware<undefined, Res>, leaf: Handler<undefined, Res>) =>
  compose<undefined, Res>([middleware], leaf);
