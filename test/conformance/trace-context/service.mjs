// @ts-check
// A service in the terms of the W3C harness: POST /test with `[{ url, arguments }, …]` makes it call each url in order, with
// its `arguments` as JSON body, and then answer 200. In by node:http, out by a governed fetch.
import http from 'node:http';
import { createApp } from 'keelson';

/** What the body of a request may hold at most. */
const mostBytes = 1_048_576;
/** Whoever drives the service calls itself back under one or two addresses. */
const mostOrigins = 64;

/** @param {http.IncomingMessage} request @returns {Promise<string>} */
async function textOf(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new RangeError(`a body of more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** @param {string} text @returns {{ url: URL, body: string }[] | undefined} */
function callsOf(text) {
  try {
    const asked = JSON.parse(text);
    if (!Array.isArray(asked)) return undefined;
    return asked.map(({ url, arguments: body }) => ({ url: new URL(url), body: JSON.stringify(body ?? []) }));
  } catch {
    return undefined;
  }
}

/**
 * Starts the service.
 *
 * @param {{ port?: number, host?: string }} [options]
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 */
export async function startService({ port = 0, host = '127.0.0.1' } = {}) {
  const app = createApp({ service: 'trace-context', register: false, signals: false, drainPauseMs: 0 });
  /** @type {Map<string, { app: import('keelson').App, fetch: typeof fetch }>} */
  const clients = new Map();

  /** A governed client of one address: the harness names its own as it likes. @param {URL} url */
  const clientOf = ({ origin }) => {
    const known = clients.get(origin);
    if (known !== undefined) return known;
    if (clients.size >= mostOrigins) throw new RangeError(`more than ${mostOrigins} addresses`);
    const caller = createApp({
      service: 'trace-context',
      endpoints: { harness: [origin] },
      register: false,
      signals: false,
    });
    const made = {
      app: caller,
      fetch: /** @type {typeof fetch} */ (caller.fetch('harness', { retry: false })),
    };
    clients.set(origin, made);
    return made;
  };

  /** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
  const answer = async (request, response) => {
    const calls = request.method === 'POST' ? callsOf(await textOf(request)) : undefined;
    if (calls === undefined) {
      response.writeHead(400).end();
      return;
    }
    for (const { url, body } of calls) {
      const sent = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
      const answered = await clientOf(url).fetch(`${url.pathname}${url.search}`, sent);
      await answered.arrayBuffer();
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
  };

  const server = http.createServer(app.listener(answer, { routes: ['POST /test'] }));
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(undefined));
  });
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://${host}:${address.port}`,
    close: async () => {
      await new Promise((resolve) => {
        server.close(() => resolve(undefined));
        server.closeAllConnections();
      });
      for (const { app: caller } of clients.values()) await caller.stop();
      await app.stop();
    },
  };
}
