import * as undici from 'undici';
import { getBy } from './fetch.mjs';

/** What drives the HTTP servers: does as little as it can itself. @param {string} url */
export function undiciCaller(url) {
  const pool = new undici.Pool(url, { connections: 32, pipelining: 1 });
  return async () => {
    const { statusCode, body } = await pool.request({ method: 'GET', path: '/users/42' });
    await body.dump();
    return statusCode === 200 ? 1 : 0;
  };
}

/** @param {string} url @param {import('keelson').App | undefined} app */
export function undiciFetchCaller(url, app) {
  if (app === undefined) return getBy(/** @type {any} */ (undici.fetch), url);
  return getBy(app.fetch('users', { undici, routes: ['/users/:id'] }), '');
}
