import { readText } from './http-body.js';
import { HttpLink, type HttpLinkInit } from './http-link.js';
import type { RegistryTransport } from './transport.js';

const form = { 'content-type': 'application/x-www-form-urlencoded' };

/** Carries requests over plain HTTP/1.1. */
export function httpTransport(init: HttpLinkInit): RegistryTransport {
  const link = new HttpLink(init);
  return {
    send: async ({ maxReplyBytes, headers, ...wanted }) => {
      const sent = { ...(wanted.body === undefined ? {} : form), ...headers };
      const response = await link.open({ ...wanted, headers: sent });
      const { localAddress } = response.socket;
      const dateMs = Date.parse(response.headers.date ?? '');
      const body = await readText(response, maxReplyBytes);
      const status = response.statusCode ?? 0;
      return { status, body, localAddress, ...(Number.isFinite(dateMs) && { dateMs }) };
    },
    close: () => link.close(),
  };
}
