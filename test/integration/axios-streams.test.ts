import type { ServerResponse } from 'node:http';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import axios, { type AxiosError, type AxiosResponse, isCancel } from 'axios';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Act, type Governed, governed, type Replica, replica } from '../doubles/axios-replicas.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const soon = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

/** Read to the end, whichever adapter made the stream. */
const text = async (data: unknown) => {
  const parts: Uint8Array[] = [];
  for await (const part of data as AsyncIterable<Uint8Array>) parts.push(part);
  return Buffer.concat(parts).toString();
};
const destroy = (data: unknown) =>
  data instanceof Readable ? void data.destroy() : void (data as ReadableStream).cancel();

describe.each([
  ['the http adapter', 'http'],
  ['the fetch adapter', 'fetch'],
] as const)('streams over %s', (_, adapter) => {
  const closers: (() => unknown)[] = [];
  let last: Governed | undefined;
  const open: ServerResponse[] = [];

  afterEach(async () => {
    await last?.idle();
    last = undefined;
    for (const close of closers.splice(0).reverse()) await close();
    open.length = 0;
  });

  const start = async (act: Act, options = {}): Promise<Governed & { one: Replica }> => {
    const one = await replica(act);
    last = governed([one], { adapter, responseType: 'stream' }, { options });
    closers.push(one.close, last.stop);
    return { ...last, one };
  };
  const held: Act = (_req, res) => {
    res.writeHead(200).write('begun ');
    open.push(res);
  };
  const big = 'x'.repeat(3_000_000);

  it('a call is over when its stream was read', async () => {
    const { users, observed, released } = await start(held);
    const { data, status } = await users.get('/x');
    expect([status, observed, released]).toEqual([200, ['success'], []]);
    const reading = text(data);
    open[0]?.end('and done');
    expect(await reading).toBe('begun and done');
    await soon(() => expect(released).toEqual(['success']));
  });

  it.each([
    ['large', (res: ServerResponse) => res.end(big), big.length],
    [
      'compressed',
      (res: ServerResponse) => res.setHeader('content-encoding', 'gzip').end(gzipSync(big)),
      big.length,
    ],
    [
      'chunk by chunk',
      async (res: ServerResponse) => {
        for (let i = 0; i < 5; i++) {
          res.write(`${i}`);
          await new Promise((resolve) => setImmediate(resolve));
        }
        res.end();
      },
      5,
    ],
  ] as const)('%s ones arrive whole', async (_name, act, length) => {
    const { users, released } = await start((_req, res) => void act(res));
    expect((await text((await users.get('/x')).data)).length).toBe(length);
    await soon(() => expect(released).toEqual(['success']));
  });

  it.each([
    ['an empty one', (res: ServerResponse) => res.setHeader('content-length', '0').end()],
    ['none', (res: ServerResponse) => res.writeHead(204).end()],
  ])('%s is over at once', async (_name, act) => {
    const { users, released } = await start((_req, res) => void act(res));
    await users.get('/x');
    expect(released).toEqual(['success']);
    await users.head('/x');
    expect(released).toEqual(['success', 'success']);
  });

  it('waits for a slow reader', async () => {
    const { users, released } = await start((_req, res) => void res.end(big));
    const { data } = await users.get('/x');
    let bytes = 0;
    const slow = new Writable({
      highWaterMark: 1,
      write: (chunk: Uint8Array, _encoding, done) => {
        bytes += chunk.length;
        setImmediate(done);
      },
    });
    await pipeline(data, slow);
    expect([bytes, released]).toEqual([big.length, ['success']]);
  });

  it('given back by its reader frees the connection', async () => {
    const { users, one, released } = await start(
      (_req, res) => void res.writeHead(200).write(Buffer.alloc(5_000_000)),
    );
    const { data } = await users.get('/x');
    destroy(data);
    await soon(() => expect([released, one.closed]).toEqual([['ignored'], 1]));
  });

  it('left in the middle by a loop frees the connection', async () => {
    const { users, one, released } = await start(
      (_req, res) => void res.writeHead(200).write(Buffer.alloc(5_000_000)),
    );
    const { data } = await users.get('/x');
    for await (const _part of data) break;
    await soon(() => expect([released, one.closed]).toEqual([['ignored'], 1]));
  });

  it('broken off by the server is an error to its reader, and a failure', async () => {
    const { users, released } = await start(held);
    const { data } = await users.get('/x');
    const reading = text(data).then(
      () => 'whole',
      () => 'broken',
    );
    await soon(() => expect(open).toHaveLength(1));
    open[0]?.socket?.resetAndDestroy();
    expect(await reading).toBe('broken');
    await soon(() => expect(released).toEqual(['failure']));
  });

  it('broken off while nobody reads harms nobody', async () => {
    const { users, released } = await start(held);
    const { data } = await users.get('/x');
    if (data instanceof Readable) data.on('error', () => undefined);
    open[0]?.socket?.resetAndDestroy();
    if (!(data instanceof Readable)) await text(data).catch(() => undefined);
    await soon(() => expect(released).toEqual(['failure']));
  });

  it.each(['signal', 'token'])('given up by %s in the middle', async (way) => {
    const { users, one, released } = await start(held);
    const controller = new AbortController();
    const { token, cancel } = axios.CancelToken.source();
    const { data } = await users.get(
      '/x',
      way === 'signal' ? { signal: controller.signal } : { cancelToken: token },
    );
    const reading = text(data).catch((error: unknown) => error);
    if (way === 'signal') controller.abort();
    else cancel('mine');
    const error = await reading;
    expect(isCancel(error) || (error as Error).name === 'AbortError').toBe(true);
    await soon(() => expect([released, one.closed]).toEqual([['ignored'], 1]));
  });

  it('a signal that lives on keeps nothing of calls that are over', async () => {
    const { users } = await start((_req, res) => void res.end('ok'));
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    for (let i = 0; i < 5; i++) await text((await users.get('/x', { signal })).data);
    await soon(() => expect(removed.mock.calls.length).toBe(added.mock.calls.length));
    expect(added.mock.calls.length).toBeGreaterThan(0);
  });

  it('an answer that is not the last is let go', async () => {
    let tries = 0;
    const { users, one, released } = await start((_req, res) => {
      if (tries++ > 0) return res.end('fine');
      return res.writeHead(500).write(Buffer.alloc(5_000_000));
    });
    expect(await text((await users.get('/x')).data)).toBe('fine');
    await soon(() => expect(one.closed).toBe(2));
    expect(released).toEqual(['ignored', 'success']);
  });

  it('a refused status leaves its stream to the caller', async () => {
    const { users, released } = await start((_req, res) => void res.writeHead(404).end('why'));
    const error = (await users.get('/x').catch((thrown: unknown) => thrown)) as AxiosError;
    expect([error.status, released]).toEqual([404, []]);
    expect(await text(error.response?.data)).toBe('why');
    await soon(() => expect(released).toEqual(['success']));
  });

  const abandon: Record<string, (response: AxiosResponse) => unknown> = {
    'not touched': () => undefined,
    'read in part': async ({ data }) => {
      if (data instanceof Readable)
        await new Promise((resolve) => data.once('readable', () => resolve(data.read(1))));
      else await data.getReader().read();
    },
    paused: ({ data }) => {
      if (data instanceof Readable) data.on('data', () => undefined).pause();
    },
  };
  it.each(Object.entries(abandon))(
    '%s and forgotten, it is found by the garbage collector',
    async (_name, forget) => {
      const { users, app, one } = await start(
        (_req, res) => void res.writeHead(200).write(Buffer.alloc(5_000_000)),
      );
      await (async () => {
        for (let i = 0; i < 5; i++) await forget(await users.get('/x'));
      })();
      await vi.waitFor(() => {
        collect();
        expect([app.snapshot()[0]?.endpoints[0]?.inflight, one.closed]).toEqual([0, 5]);
      }, 10_000);
    },
  );

  it('one that is still read is not taken for forgotten', async () => {
    const { users, released } = await start(held);
    const parts: string[] = [];
    await (async () => {
      const { data } = await users.get('/x');
      // Nothing else refers to the stream from here on.
      if (data instanceof Readable) data.on('data', (part: Buffer) => void parts.push(part.toString()));
      else
        void data.pipeTo(
          new WritableStream({ write: (part) => void parts.push(Buffer.from(part).toString()) }),
        );
    })();
    await soon(() => expect(parts.join('')).toBe('begun '));
    for (let i = 0; i < 3; i++) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
    open[0]?.end('and done');
    await soon(() => expect(parts.join('')).toBe('begun and done'));
    await soon(() => expect(released).toEqual(['success']));
  });
});
