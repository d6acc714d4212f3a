import type { HttpExchange } from '../http/exchange.js';
import type { HttpRequest } from '../http/request.js';
import type { MessageSizes } from '../topology/edge-call.js';

/** Of a `content-length`, whoever wrote it. */
function lengthOf(value: unknown): number | undefined {
  const bytes = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof bytes === 'number' && bytes >= 0 ? bytes : undefined;
}

/** What clients of HTTP know of bodies: what the answer says of its own, and of what they send, texts and buffers. */
export const fetchSizes: MessageSizes<HttpRequest, Response> = {
  request: ({ init }) => {
    const body = init?.body;
    if (body === undefined || body === null) return 0;
    if (typeof body === 'string') return Buffer.byteLength(body);
    return body instanceof ArrayBuffer || ArrayBuffer.isView(body) ? body.byteLength : undefined;
  },
  response: ({ headers }) => lengthOf(headers.get('content-length') ?? undefined),
};

/** What servers of HTTP know of bodies: what each head says. */
export const exchangeSizes: MessageSizes<HttpExchange, HttpExchange> = {
  request: ({ req }) => lengthOf(req.headers['content-length'] ?? '0'),
  response: ({ res }) => lengthOf(res.getHeader('content-length')),
};
