import axios from 'axios';
import { governAxios } from 'keelson/axios';

/** @typedef {import('keelson').App} App */

/** @param {import('axios').AxiosInstance} users */
const getBy = (users) => async () => {
  const { data } = await users.get('/users/42');
  return data.id === '42' ? 1 : 0;
};

/** @param {string} url @param {App | undefined} app */
export function axiosCaller(url, app) {
  return getBy(
    app
      ? governAxios(axios.create({ baseURL: 'http://users', adapter: 'http' }), app, 'users')
      : axios.create({ baseURL: url, adapter: 'http' }),
  );
}

/** Where the adapter need not be found by a request of its own. @param {string} url @param {App | undefined} app */
export function axiosItselfCaller(url, app) {
  if (app === undefined) return axiosCaller(url, app);
  const users = axios.create({ baseURL: 'http://users', adapter: 'http' });
  return getBy(governAxios(users, app, { service: 'users', axios }));
}

/** Answers without a network. @type {import('axios').AxiosAdapter} */
const adapter = async (config) => ({
  data: '{"id":"42","name":"Ada"}',
  status: 200,
  statusText: 'OK',
  headers: { 'content-type': 'application/json' },
  config,
});

/** @param {App | undefined} app */
export function axiosStub(app) {
  const users = axios.create({ baseURL: 'http://users', adapter });
  return getBy(app ? governAxios(users, app, 'users') : users);
}
