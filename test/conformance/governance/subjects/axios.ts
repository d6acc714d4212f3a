import http from 'node:http';
import axios, { AxiosError } from 'axios';
import { governAxios } from 'keelson/axios';
import { isGovernanceError } from 'keelson/core';
import { httpCallee } from '../callees/http.js';
import { type Asking, type Ended, type Subject, service } from '../subject.js';
import { streamOf } from './fetch.js';

function axiosSubject(adapter: 'http' | 'fetch'): Subject {
  const byFetch = adapter === 'fetch';
  return {
    name: `axios, ${adapter} adapter`,
    callee: httpCallee,
    ownConnections: true,
    natively: {
      failure: 'AxiosError ERR_BAD_RESPONSE 500',
      death: byFetch ? 'AxiosError ERR_NETWORK' : 'AxiosError ECONNRESET',
      overload: 'AxiosError ERR_BAD_REQUEST 429',
      abort: 'AxiosError ERR_CANCELED',
      deadline: byFetch ? 'AxiosError ETIMEDOUT' : 'AxiosError ECONNABORTED',
      refusal: 'GovernanceError BREAKER_OPEN',
    },
    tell: (native) => {
      if (isGovernanceError(native)) return `GovernanceError ${native.code}`;
      if (!(native instanceof AxiosError)) return String(native);
      return ['AxiosError', native.code, native.status].filter((part) => part !== undefined).join(' ');
    },
    connect: (app, { idempotent, ...policy }) => {
      const httpAgent = new http.Agent({ keepAlive: true });
      const users = governAxios(axios.create({ baseURL: `http://${service}`, adapter, httpAgent }), app, {
        service,
        ...(policy as object),
      });
      const send = ({ timeoutMs, signal, metadata }: Asking, responseType: 'text' | 'stream') =>
        users.request({
          url: '/x',
          ...(idempotent ? {} : { method: 'POST', data: 'x' }),
          headers: { ...metadata },
          ...(signal === undefined ? {} : { signal }),
          ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
          responseType,
        });
      return {
        call: async (asking = {}): Promise<Ended> => {
          try {
            const response = await send(asking, 'text');
            return { ok: true, by: response.data, native: response };
          } catch (error) {
            return { ok: false, by: undefined, native: error };
          }
        },
        open: async (asking = {}) => streamOf((await send(asking, 'stream')).data),
        close: () => httpAgent.destroy(),
      };
    },
  };
}

export const axiosSubjects = [axiosSubject('http'), axiosSubject('fetch')];
