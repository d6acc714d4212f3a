import { Pool } from 'undici';

/** What drives the HTTP servers: does as little as it can itself. @param {string} url */
export function undiciCaller(url) {
  const pool = new Pool(url, { connections: 32, pipelining: 1 });
  return async () => {
    const { statusCode, body } = await pool.request({ method: 'GET', path: '/users/42' });
    await body.dump();
    return statusCode === 200 ? 1 : 0;
  };
}
