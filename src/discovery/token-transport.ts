import type { RegistryTransport } from './transport.js';

/** What a bearer token may consist of, by RFC 6750; nothing that could begin another header. */
const sendable = /^[\w.~+/-]+=*$/;

/** @throws TypeError for what cannot be sent as a token. The message does not tell it: messages end in logs. */
export function checkToken(owner: string, token: string | undefined): void {
  if (token === undefined || (typeof token === 'string' && sendable.test(token))) return;
  throw new TypeError(`${owner} must consist of letters, digits, and - . _ ~ + / with = at its end`);
}

/** A transport that shows a token with each request. */
export function withToken(inner: RegistryTransport, token: string | undefined): RegistryTransport {
  if (token === undefined) return inner;
  const authorization = `Bearer ${token}`;
  return {
    send: (request) => inner.send({ ...request, headers: { ...request.headers, authorization } }),
    close: () => inner.close(),
  };
}
