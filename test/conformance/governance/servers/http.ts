import http from 'node:http';
import { type Framework, frameworks } from '../../../doubles/server-frameworks.js';
import type { Asker, Reply, Request, ServerRow } from '../server-row.js';

function headersOf({ leftMs, metadata }: Request): Record<string, string> {
  return { ...metadata, ...(leftMs === undefined ? {} : { 'x-keelson-timeout-ms': String(leftMs) }) };
}

const text = (value: string | string[] | undefined): string | undefined =>
  value === undefined ? undefined : String(value);

function asker(port: number): Asker {
  const agent = new http.Agent({ keepAlive: true });
  return {
    ask: (what, request = {}) =>
      new Promise<Reply>((resolve, reject) => {
        const options = { agent, port, host: '127.0.0.1', path: `/do/${what}`, headers: headersOf(request) };
        const { signal } = request;
        const sent = http.get({ ...options, ...(signal === undefined ? {} : { signal }) }, (response) => {
          const { statusCode = 0, headers } = response;
          let body = '';
          response.setEncoding('utf8').on('data', (part: string) => {
            body += part;
          });
          const told = text(headers['retry-after-ms']);
          response.on('error', reject).on('end', () =>
            resolve({
              status: statusCode === 200 ? 'ok' : String(statusCode),
              text: statusCode === 200 ? body : undefined,
              shed: text(headers['x-keelson-shed']),
              retryAfterMs: told === undefined ? undefined : Number(told),
            }),
          );
        });
        sent.on('error', reject);
      }),
    close: () => agent.destroy(),
  };
}

const rowOf = ({ name, make }: Framework): ServerRow => ({
  name,
  operation: 'GET /do/:what',
  words: { fault: '500', overload: '503', deadline: '504', calleeOverloaded: '503' },
  make: (app, work, governing) => {
    const run = ({ params, call }: Parameters<Parameters<typeof make>[1][number]['run']>[0]) =>
      work(params['what'] ?? '', call);
    return make(app, [{ method: 'GET', path: '/do/:what', run }], governing);
  },
  asker,
});

export const httpRows = frameworks.map(rowOf);
