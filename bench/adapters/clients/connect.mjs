import { createClient, createRouterTransport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { governedTransport } from 'keelson/connect';
import { Users, usersRoutes } from '../connect-users.mjs';

/** @typedef {import('keelson').App} App */

/** @param {import('@connectrpc/connect').Transport} transport */
function getBy(transport) {
  const users = createClient(Users, transport);
  return async () => ((await users.get({ value: '42' })).value === '42' ? 1 : 0);
}

/** @param {string} baseUrl */
const native = (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1' });

/** @param {string} url @param {App | undefined} app */
export const connectCaller = (url, app) =>
  getBy(app ? governedTransport(app, 'users', { transport: native }) : native(url));

/** @param {App | undefined} app */
export function connectStub(app) {
  const transport = () => createRouterTransport(usersRoutes);
  return getBy(app ? governedTransport(app, 'users', { transport }) : transport());
}
