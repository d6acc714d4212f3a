import { staticEndpoints } from 'keelson/discovery';
import { fetchWire, toFetch } from 'keelson/http';
import { clientStack } from 'keelson/stack';
import { httpClientSemantics } from 'keelson/telemetry';

const resolver = staticEndpoints({
  users: ['http://10.0.0.1:80', 'http://10.0.0.2:80', 'http://10.0.0.3:80'],
});

/** The platform's responses, without a network. @type {typeof globalThis.fetch} */
const empty = async () => new Response(null, { status: 204 });
/** @type {typeof globalThis.fetch} */
const small = async () => new Response('ok');

/** @param {typeof globalThis.fetch} fetch */
function governed(fetch) {
  const wire = fetchWire({ fetch });
  const stack = clientStack({
    service: 'users',
    resolver,
    wire,
    semantics: httpClientSemantics,
    caller: 'orders',
  });
  return { fetch: toFetch(stack.handler, { service: 'users', routes: ['/users/:id'] }), stack };
}

/** @param {(url: string) => Promise<Response>} fetch @param {string} url */
function statuses(fetch, url) {
  return async (/** @type {number} */ calls) => {
    let answered = 0;
    for (let i = 0; i < calls; i++) answered += (await fetch(url)).status === 204 ? 1 : 0;
    return answered;
  };
}

/** @param {(url: string) => Promise<Response>} fetch @param {string} url */
function texts(fetch, url) {
  return async (/** @type {number} */ calls) => {
    let answered = 0;
    for (let i = 0; i < calls; i++) answered += (await (await fetch(url)).text()) === 'ok' ? 1 : 0;
    return answered;
  };
}

/** The signature of fetch over the client stack over a fetch that answers by itself. @returns {import('../harness.mjs').Subject} */
export function fetches() {
  const emptily = governed(empty);
  const smally = governed(small);
  const direct = 'http://10.0.0.1:80/users/42';
  return {
    title: 'fetch: toFetch, client stack, fetchWire over a stub fetch',
    cases: [
      { id: 'fetch.empty.bare', name: 'bare fetch, 204', batch: statuses(empty, direct) },
      {
        id: 'fetch.empty',
        name: 'governed fetch, 204',
        against: 'fetch.empty.bare',
        batch: statuses(emptily.fetch, '/users/42'),
      },
      { id: 'fetch.text.bare', name: 'bare fetch, 200, text()', batch: texts(small, direct) },
      {
        id: 'fetch.text',
        name: 'governed fetch, 200, text()',
        against: 'fetch.text.bare',
        batch: texts(smally.fetch, '/users/42'),
      },
    ],
    close: () => {
      emptily.stack.close();
      smally.stack.close();
    },
  };
}
