import type { HttpRequest } from '../http/request.js';
import type { ClientPolicy } from './client-policy.js';

/** Options of {@link App.client} beside those of all clients. */
export const appClientOptions = { wire: undefined, semantics: undefined, caller: undefined };

/** What the policy of an app says of clients of any wire: all but what looks at messages, which are others there. */
export function forAnyWire<Req, Res>(
  policy: ClientPolicy<HttpRequest, Response> = {},
): ClientPolicy<Req, Res> {
  const { use: _use, useAttempt: _useAttempt, retry, ...rest } = policy;
  if (typeof retry !== 'object') return { ...rest, retry };
  const { when: _when, onRetry: _onRetry, ...tries } = retry;
  return { ...rest, retry: tries };
}

/**
 * What the parts of a client call themselves, and where its user wrote their options.
 *
 * @param owner - what makes the client: `app.fetch`
 * @param policy - what the app says of all clients
 * @param own - what this one was given
 */
export function namesOfClient(
  owner: string,
  policy: object = {},
  own: object = {},
): Readonly<Record<string, string>> {
  const given = own as Readonly<Record<string, unknown>>;
  const inherited = Object.keys(policy).filter((option) => given[option] === undefined);
  return {
    ...Object.fromEntries(
      inherited.map((option) => [`clientStack.${option}`, `createApp.client.${option}`] as const),
    ),
    clientStack: owner,
    fetchWire: owner,
    toFetch: owner,
    pool: `${owner}.pool`,
    tls: `${owner}.tls`,
    routes: `${owner}.routes`,
    'tied.routes': `${owner}.tied.routes`,
  };
}
