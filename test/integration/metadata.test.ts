import http from 'node:http';
import { type App, type AppListenerOptions, createApp, memory } from 'keelson';
import { type MetadataEvent, metadataKey, metadataOf, percentEncoded } from 'keelson/core';
import { afterEach, describe, expect, it } from 'vitest';
import { rawClient, rawGet } from '../doubles/raw-client.js';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const color = metadataKey('x-md-global-color');
const user = metadataKey('x-md-global-user', percentEncoded);
const caller = metadataKey('x-md-local-caller');

const started = (service: string, registry: ReturnType<typeof memory>, client = {}) => {
  const app = createApp({ service, registry, signals: false, client });
  stops.push(() => app.stop());
  return app;
};

/** Serves, and tells what the call brought along. */
async function last(app: App) {
  const listener = app.listener((req, res) => {
    const names = Object.keys(req.headers).filter((name) => name.startsWith('x-'));
    res.end(JSON.stringify(Object.fromEntries(names.map((name) => [name, req.headers[name]]))));
  });
  return app.serve(http.createServer(listener), { host: '127.0.0.1' });
}

/** edge → middle → last, with what the handler in the middle does. */
async function chain({
  inTheMiddle = () => undefined,
  options = {},
  client = {},
}: {
  readonly inTheMiddle?: () => void;
  readonly options?: AppListenerOptions;
  readonly client?: object;
} = {}) {
  const registry = memory();
  await last(started('last', registry));
  const middle = started('middle', registry, client);
  const drops: MetadataEvent[] = [];
  middle.events.on('metadata', (event) => drops.push(event));
  const ask = middle.fetch('last');
  const served = await middle.serve(
    http.createServer(
      middle.listener(async (_, res) => {
        inTheMiddle();
        res.end(await (await ask('/')).text());
      }, options),
    ),
    { host: '127.0.0.1' },
  );
  const send = async (headers: Record<string, string>) =>
    (await (await fetch(served.url, { headers })).json()) as Record<string, string>;
  const inflight = () =>
    middle.snapshot().flatMap(({ endpoints }) => endpoints.map((endpoint) => endpoint.inflight));
  return { send, drops, inflight, port: Number(new URL(served.url).port) };
}

/** What a server answers to headers as they stand, also those that no client library would send. */
async function exchanged(port: number, headers: Record<string, string>): Promise<string> {
  const client = await rawClient(port);
  stops.push(async () => void client.socket.destroy());
  client.socket.write(rawGet('/', { connection: 'close', ...headers }), 'latin1');
  return client.closed();
}

const metadata = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => /^x-md-(global|local)-/.test(name)));

describe('metadata', () => {
  it('flows through the chain if it is global, and ends at the next service if it is local', async () => {
    const { send, inflight } = await chain();
    expect(metadata(await send({ 'X-MD-Global-Color': 'red', 'x-md-local-caller': 'web' }))).toEqual({
      'x-md-global-color': 'red',
    });
    expect(inflight()).toEqual([0]);
  });

  it('is read and set in a handler, and constant of a client or a server', async () => {
    const seen: unknown[] = [];
    const { send } = await chain({
      inTheMiddle: () => {
        seen.push(metadataOf().get(color), metadataOf().get(caller), metadataOf().get(user));
        metadataOf().set(user, 'Zoë');
      },
      options: { metadata: { constants: { 'x-md-global-region': 'eu' } } },
      client: { metadata: { constants: { 'x-md-local-caller': 'middle' } } },
    });
    expect(
      metadata(
        await send({ 'x-md-global-color': 'red', 'x-md-local-caller': 'web', 'x-md-global-region': 'us' }),
      ),
    ).toEqual({
      'x-md-global-color': 'red',
      'x-md-global-region': 'eu',
      'x-md-global-user': 'Zo%C3%AB',
      'x-md-local-caller': 'middle',
    });
    expect(seen).toEqual(['red', 'web', undefined]);
  });

  it('is taken from nobody who is not trusted, and given to nobody if it is switched off', async () => {
    const untrusted = await chain({ options: { trust: false } });
    expect(metadata(await untrusted.send({ 'x-md-global-color': 'red' }))).toEqual({});
    const silent = await chain({ client: { metadata: false } });
    expect(metadata(await silent.send({ 'x-md-global-color': 'red' }))).toEqual({});
  });

  it('is bounded and told of once when it is left out, and fails no call', async () => {
    const { send, drops, port, inflight } = await chain();
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`x-md-global-${at}`, 'v']));
    for (let i = 0; i < 3; i++) expect(Object.keys(metadata(await send(many)))).toHaveLength(32);
    expect(metadata(await send({ 'x-md-global-a': 'v'.repeat(10_000), 'x-md-global-b': 'v' }))).toEqual({
      'x-md-global-b': 'v',
    });
    const odd = await exchanged(port, { 'x-md-global-a': 'caf\u00e9', 'x-md-global-b': 'v' });
    expect(odd).toMatch(/^HTTP\/1.1 200 /);
    expect(odd).toContain('"x-md-global-b":"v"');
    expect(odd).not.toContain('x-md-global-a');
    expect(drops.map(({ side, service, reason }) => [side, service, reason])).toEqual([
      ['server', 'middle', 'entries'],
      ['server', 'middle', 'bytes'],
      ['server', 'middle', 'value'],
    ]);
    expect(inflight()).toEqual([0]);
  });

  it('of a size that no server takes is refused by the parser, and harms nobody', async () => {
    const { port, send, inflight } = await chain();
    const huge = await exchanged(port, { 'x-md-global-a': 'v'.repeat(1_000_000) });
    expect(huge).toMatch(/^(HTTP\/1.1 431 |$)/);
    expect(metadata(await send({ 'x-md-global-color': 'red' }))).toEqual({ 'x-md-global-color': 'red' });
    expect(inflight()).toEqual([0]);
  });

  it.each([
    [{ metadata: 5 }],
    [{ metadata: { maxEntries: -1 } }],
    [{ metadata: { constants: { host: 'x' } } }],
  ])('that cannot be is refused when a client or a server is made: %o', (options) => {
    const app = started('orders', memory());
    expect(() => app.listener(() => undefined, options as never)).toThrow(/metadata/i);
    expect(() => app.fetch('users', options as never)).toThrow(/metadata/i);
  });
});
