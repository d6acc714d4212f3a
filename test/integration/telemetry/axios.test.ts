import { afterEach, describe, expect, it } from 'vitest';
import { type Governed, governed, type Replica, replica } from '../../doubles/axios-replicas.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(
  adapter: string,
  act?: Replica['act'],
): Promise<{ sdk: TracingSdk; one: Replica } & Governed> {
  const sdk = tracingSdk();
  const one = await replica(act);
  const made = governed([one], { adapter: adapter as 'http' }, { options: { routes: ['/users/:id'] } });
  closers.push(() => sdk.stop(), one.close, made.stop);
  return { sdk, one, ...made };
}

describe.each(['http', 'fetch'])('spans of axios, by the %s adapter', (adapter) => {
  it('are those of any HTTP client: one of the call, one of each attempt, whose context is sent', async () => {
    let tries = 0;
    const { sdk, one, users } = await start(adapter, (_req, res) => {
      res.statusCode = tries++ === 0 ? 500 : 200;
      res.end();
    });
    await users.get('/users/7', { params: { q: 'a b' } });
    const attempts = sdk.ofKind('CLIENT');
    expect(attempts.map(({ name, attributes }) => [name, attributes['http.response.status_code']])).toEqual([
      ['GET /users/:id', 500],
      ['GET /users/:id', 200],
    ]);
    expect(attempts[0]?.attributes).toMatchObject({
      'http.request.method': 'GET',
      'url.full': `${one.url}/users/7?q=a+b`,
      'url.template': '/users/:id',
      'error.type': '500',
    });
    expect(attempts[1]?.attributes['http.request.resend_count']).toBe(1);
    const [call] = sdk.ofKind('INTERNAL');
    const parents = attempts.map(({ parentSpanContext }) => parentSpanContext?.spanId);
    expect(parents).toEqual([call?.spanContext().spanId, call?.spanContext().spanId]);
    expect(one.requests.map(({ headers }) => String(headers['traceparent']).split('-')[2])).toEqual(
      attempts.map((span) => span.spanContext().spanId),
    );
  });

  it('tell errors by the code that axios has for them', async () => {
    const { sdk, one, users } = await start(adapter);
    await one.close();
    await users.get('/users/7').catch(() => undefined);
    const [attempt] = sdk.ofKind('CLIENT');
    expect(attempt?.attributes['error.type']).toMatch(
      adapter === 'http' ? /^ECONNREFUSED$/ : /ECONNREFUSED|ERR_NETWORK/,
    );
  });
});
