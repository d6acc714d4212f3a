import { fetchWire, toFetch } from 'keelson/http';

/** @typedef {import('keelson').App} App */

/** @param {(url: string) => Promise<Response>} fetch @param {string} base */
export const getBy = (fetch, base) => async () => {
  const response = await fetch(`${base}/users/42`);
  /** @type {any} */
  const user = await response.json();
  return user.id === '42' ? 1 : 0;
};

/** @param {string} url @param {App | undefined} app */
export function fetchCaller(url, app) {
  return app ? getBy(app.fetch('users', { routes: ['/users/:id'] }), '') : getBy(fetch, url);
}

/** The platform's responses, without a network. @type {typeof globalThis.fetch} */
const answer = async () => new Response('{"id":"42","name":"Ada"}');

/** @param {App | undefined} app */
export function fetchStub(app) {
  if (app === undefined) return getBy(/** @type {any} */ (answer), 'http://10.0.0.1:80');
  const stack = app.httpClient('users', { wire: fetchWire({ fetch: answer }) });
  return getBy(toFetch(stack.handler, { service: 'users', routes: ['/users/:id'] }), '');
}
