import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { createApp } from 'keelson';
import type { EarlyRefuser, Gate, Permit } from 'keelson/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// What is written past Node's response is judged by Node's response: two servers that differ in `rejectEarly` alone get the
// same bytes, cut and paced alike, and have to answer with the same bytes.

const permit: Permit = { observe: () => undefined, release: () => undefined };

/** Refuses what goes to `/no`, and never changes its mind. */
const refusesNo = {
  code: 'OVERLOADED',
  refusing: true,
  tryAcquire: (_now, ask) => (ask?.operation?.endsWith(' /no/:id') ? null : permit),
  refuseEarly: (_now, ask) => ask.operation?.endsWith(' /no/:id') === true,
  retryAfterMs: () => 1500,
} satisfies Gate & EarlyRefuser;

async function handler(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const [, way] = /way=([a-z]+)/.exec(req.url ?? '') ?? [];
  const id = `${req.method} ${req.url} `;
  if (way === 'late') await new Promise((resolve) => setTimeout(resolve, 2));
  if (way === 'reads') {
    let bytes = 0;
    for await (const chunk of req) bytes += (chunk as Buffer).length;
    res.end(`${id}read ${bytes}`);
  } else if (way === 'pieces') {
    res.write(`${id}first`);
    await new Promise((resolve) => setImmediate(resolve));
    res.end('second');
  } else if (way === 'big') res.end(id.padEnd(300_000, '.'));
  else res.end(id);
}

interface Side {
  readonly port: number;
  /** How many requests Node made a response for. */
  readonly made: () => number;
  readonly close: () => Promise<void>;
}

async function side(rejectEarly: boolean): Promise<Side> {
  const app = createApp({ service: 'shop', signals: false });
  const server = http.createServer(
    app.listener(handler, {
      limits: [refusesNo],
      queue: false,
      routes: ['/no/:id', '/yes/:id'],
      rejectEarly,
    }),
  );
  let made = 0;
  const count = (message: unknown): void => {
    if ((message as { server?: unknown }).server === server) made++;
  };
  diagnostics.subscribe('http.server.request.start', count);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    made: () => made,
    close: async () => {
      diagnostics.unsubscribe('http.server.request.start', count);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await app.stop();
    },
  };
}

let early: Side;
let usual: Side;
beforeAll(async () => {
  early = await side(true);
  usual = await side(false);
});
afterAll(async () => {
  await early.close();
  await usual.close();
});

interface Request {
  readonly refused: boolean;
  readonly method: string;
  readonly way: string;
  readonly body: 'none' | 'empty' | 'length' | 'chunked';
  readonly size: number;
  readonly priority: boolean;
  readonly names: 'as they are' | 'LOUD';
}

const request: fc.Arbitrary<Request> = fc.record({
  refused: fc.boolean(),
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'DELETE'),
  way: fc.constantFrom('plain', 'late', 'reads', 'pieces', 'big'),
  body: fc.constantFrom('none', 'none', 'empty', 'length', 'chunked'),
  size: fc.constantFrom(1, 10, 1000, 60_000),
  priority: fc.boolean(),
  names: fc.constantFrom('as they are', 'LOUD'),
});

/** The connection does not outlive it: which is why it comes last. */
const lastRequest = fc.constantFrom(
  'GET /no/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /yes/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /no/1 HTTP/1.0\r\n\r\n',
  'GET /no/1 HTTP/1.1\r\nConnection: close\r\n\r\n',
  'GET /no/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n',
  'POST /no/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n',
  'POST /no/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n',
  'POST /no/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST /no/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
  // Nobody takes the connection over, so it is a request like any other.
  'GET /no/8 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: chat\r\n\r\n',
  'NOPE /no/1 HTTP/1.1\r\nHost: a\r\n\r\n',
);

function bytesOf({ refused, method, way, body, size, priority, names }: Request, id: number): Buffer {
  const lines = [
    `${method} /${refused ? 'no' : 'yes'}/${id}?way=${way} HTTP/1.1`,
    ...['Host: a', ...(priority ? ['x-md-global-priority: 5'] : []), 'Accept: */*'].map((line) =>
      names === 'LOUD' ? line.replace(/^[^:]+/, (name) => name.toUpperCase()) : line,
    ),
  ];
  const text = Buffer.alloc(size, 'b');
  // What looks like a request in a body must never be taken for one.
  text.write('GET /yes/666 HTTP/1.1\r\nHost: a\r\n\r\n'.slice(0, size));
  if (body === 'none') return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  if (body === 'empty') return Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
  // Refused, one of no known length ends its connection.
  const [header, content] =
    body === 'length' || refused
      ? [`Content-Length: ${size}`, [text]]
      : ['Transfer-Encoding: chunked', [`${size.toString(16)}\r\n`, text, '\r\n0\r\n\r\n']];
  const head = `${lines.join('\r\n')}\r\n${header}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), ...content.map((part) => Buffer.from(part))]);
}

interface Talk {
  readonly pieces: readonly Buffer[];
  /** Sent when all before is answered: how much of that a broken request costs is a matter of microseconds. */
  readonly end: Buffer;
  /** Whether each piece waits until all that came is read. */
  readonly paced: boolean;
  /** Whether nothing is read until everything is written. */
  readonly deaf: boolean;
}

const sentinel = '/yes/sentinel?way=plain';

/** All that the server answers to the end, without what differs from second to second. */
async function answersTo({ port }: Side, { pieces, end, paced, deaf }: Talk): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const chunks: Buffer[] = [];
  const read = (): void => void socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (deaf) socket.pause();
  else read();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined);
  for (const piece of pieces) {
    socket.write(piece);
    if (paced) await new Promise((resolve) => setImmediate(resolve));
  }
  if (deaf) {
    await new Promise((resolve) => setImmediate(resolve));
    read();
    socket.resume();
  }
  socket.write(`GET ${sentinel} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await expect.poll(() => Buffer.concat(chunks.slice(-2)).includes(sentinel), { interval: 1 }).toBe(true);
  socket.write(end);
  await closed;
  return Buffer.concat(chunks)
    .toString('latin1')
    .replaceAll(/^Date: .*$/gm, 'Date: now')
    .replaceAll(/^x-keelson-load: .*\r\n/gm, '');
}

/** Closes the connection, and shows that what came before it was understood to its end. */
const goodbye = Buffer.from('GET /yes/last?way=plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((share) => Math.floor(share * bytes.length)))].sort((a, b) => a - b);
  return [0, ...ends].map((start, i) => bytes.subarray(start, ends[i] ?? bytes.length));
}

describe('requests that are refused past Node', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  const talk = fc
    .record({
      requests: fc.array(request, { minLength: 1, maxLength: 12 }),
      last: fc.option(lastRequest),
      cuts: fc.array(share, { maxLength: 6 }),
      whole: fc.boolean(),
      paced: fc.boolean(),
      deaf: fc.boolean(),
    })
    .map(({ requests, last, cuts, whole, ...rest }): Talk => {
      const parts = requests.map(bytesOf);
      const end = last === null ? goodbye : Buffer.from(last);
      return { ...rest, pieces: whole ? parts : cut(Buffer.concat(parts), cuts), end };
    });

  it('are answered as Node does it, whatever is before and after them on the connection', async () => {
    const before = early.made();
    const beforeUsual = usual.made();
    await fc.assert(
      fc.asyncProperty(talk, async (given) => {
        const [got, expected] = await Promise.all([answersTo(early, given), answersTo(usual, given)]);
        expect(got).toBe(expected);
      }),
      { numRuns: 150 },
    );
    // And the way past Node was taken.
    expect(early.made() - before).toBeLessThan(usual.made() - beforeUsual);
  });
});
