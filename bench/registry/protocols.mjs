// The same questions in the words of each registry.
import { request } from './connection.mjs';

/**
 * @typedef {object} Protocol
 * @property {(n: number) => string} register
 * @property {(n: number) => string} renew
 * @property {(n: number) => string} fetch
 * @property {((n: number) => string) | undefined} poll answered at once; absent: it has none
 * @property {string} watch waits for a change of the first app
 * @property {(answer: Buffer) => boolean} isChange whether what came is a change, rather than that the watch began
 * @property {(n: number) => string} change of the first app
 * @property {(answer: Buffer) => boolean} isGood
 */

const env = 'e';
const future = '9000000000000000000';

/** @param {Record<string, string>} values */
const form = (values) => new URLSearchParams(values).toString();

/** bilibili/discovery, and ours. @param {{ apps: number }} scale @returns {Protocol} */
export function discoveryProtocol({ apps }) {
  /** @param {number} n */
  const id = (n) => ({ zone: 'z', env, appid: `service-${n % apps}`, hostname: `host-${n}` });
  /** @param {Record<string, string>} values */
  const register = (values) =>
    request('POST', '/discovery/register', {
      body: `${form({
        ...values,
        ...{
          region: 'r',
          status: '1',
          version: '1.4.2',
          metadata: '{"weight":"10","cluster":"blue","color":""}',
        },
      })}&addrs=http%3A%2F%2F10.1.2.3%3A8080&addrs=grpc%3A%2F%2F10.1.2.3%3A9090`,
    });
  /** @param {string} appid @param {string} since */
  const polls = (appid, since) =>
    request('GET', `/discovery/polls?${form({ env, appid, hostname: 'bench', latest_timestamp: since })}`);
  return {
    register: (n) => register(id(n)),
    renew: (n) => request('POST', '/discovery/renew', { body: form(id(n)) }),
    fetch: (n) =>
      request('GET', `/discovery/fetch?${form({ env, appid: `service-${n % apps}`, status: '1' })}`),
    poll: (n) => polls(`service-${n % apps}`, '0'),
    watch: polls('service-0', future),
    isChange: () => true,
    change: (n) => register({ ...id(0), hostname: `change-${n}` }),
    isGood: (answer) => answer.includes('"code":0'),
  };
}

/** @param {string} text */
const base64 = (text) => Buffer.from(text).toString('base64');

/**
 * etcd through the JSON gateway that every etcd has, as keelson's own client speaks to it. Keys and values as kratos has
 * them; each instance has a lease.
 *
 * @param {{ apps: number }} scale
 * @returns {Protocol}
 */
export function etcdProtocol({ apps }) {
  /** @param {string} path @param {object} message */
  const post = (path, message) =>
    request('POST', `/v3/${path}`, { body: JSON.stringify(message), type: 'application/json' });
  /** @param {number} n */
  const service = (n) => `/microservices/service-${n % apps}/`;
  const value = JSON.stringify({
    ...{
      id: 'host',
      name: 'service',
      version: '1.4.2',
      metadata: { weight: '10', cluster: 'blue', color: '' },
    },
    endpoints: ['http://10.1.2.3:8080', 'grpc://10.1.2.3:9090'],
  });
  /** @param {string} prefix */
  const range = (prefix) => ({ key: base64(prefix), range_end: base64(`${prefix.slice(0, -1)}0`) });
  return {
    // A lease is granted before it is used: see `leases`.
    register: (n) =>
      post('kv/put', { key: base64(`${service(n)}host-${n}`), value: base64(value), lease: n + 1 }),
    renew: (n) => post('lease/keepalive', { ID: n + 1 }),
    fetch: (n) => post('kv/range', range(service(n))),
    poll: undefined,
    watch: post('watch', { create_request: range(service(0)) }),
    isChange: (answer) => answer.includes('"events"'),
    change: (n) => post('kv/put', { key: base64(`${service(0)}change-${n}`), value: base64(value) }),
    isGood: (answer) => answer.includes('HTTP/1.1 200'),
  };
}

/** @param {number} n */
export function grantLease(n) {
  return request('POST', '/v3/lease/grant', {
    body: JSON.stringify({ TTL: 600, ID: n + 1 }),
    type: 'application/json',
  });
}
