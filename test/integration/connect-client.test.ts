import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  decodeBinaryHeader,
  encodeBinaryHeader,
} from '@connectrpc/connect';
import { type AppOptions, createApp } from 'keelson';
import { type GovernedTransportOptions, governance, governedTransport } from 'keelson/connect';
import { type Call, createCall, isGovernanceError, metadataKey, metadataOf, runWithCall } from 'keelson/core';
import { describe, expect, it, vi } from 'vitest';
import { Greeter } from '../doubles/connect-greeter.js';
import {
  all,
  connect,
  type GreeterImpl,
  grpc,
  type Replica,
  replica,
  type Speech,
  saying,
  speeches,
} from '../doubles/connect-replicas.js';
import { inflight } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';

const { apps, closers } = tidied();

async function serve(speech: Speech, handlers?: GreeterImpl): Promise<Replica> {
  const made = await replica(speech, handlers);
  closers.push(() => made.close());
  return made;
}

type Options = Partial<GovernedTransportOptions> & { readonly app?: Partial<AppOptions> };

function clientOf(
  speech: Speech,
  replicas: readonly { readonly url: string }[],
  { app: own, ...options }: Options = {},
) {
  const endpoints = { greeter: replicas.map(({ url }) => url) };
  const app = createApp({ service: 'caller', endpoints, signals: false, ...own });
  apps.push(app);
  const transport = governedTransport(app, 'greeter', { transport: speech.transport, ...options });
  return { app, client: createClient(Greeter, transport), transport };
}

const errorOf = (running: Promise<unknown>): Promise<ConnectError> =>
  running.then(
    () => expect.fail('it was answered'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(ConnectError);
      return error as ConnectError;
    },
  );

const codeOf = async (running: Promise<unknown>) => (await errorOf(running)).code;

const refusing =
  (code: Code, seen?: () => void): NonNullable<GreeterImpl['say']> =>
  () => {
    seen?.();
    throw new ConnectError('no', code);
  };

const alone = { gates: () => [], ejection: false, retryBudget: { minPerSecond: 1000 } } as const;

describe.each(speeches)('$name', (speech) => {
  it('answers the kinds natively', async () => {
    const { client, app } = clientOf(speech, [await serve(speech)]);
    expect(await client.say({ value: 'you' })).toMatchObject({ value: 'hello you' });
    expect(await client.collect(saying('a', 'b'))).toMatchObject({ value: 'a,b' });
    expect(await all(client.count({ value: '3' }))).toEqual(['1', '2', '3']);
    expect(await all(client.count({ value: '0' }))).toEqual([]);
    if (speech.httpVersion === '2') {
      expect(await all(client.chat(saying('a', 'b')))).toEqual(['re: a', 're: b']);
      expect(await all(client.chat(saying()))).toEqual([]);
    }
    expect(app.snapshot()[0]?.endpoints).toHaveLength(1);
  });

  it('carries headers both ways, bytes among them, and trailers, and leaves the caller its own', async () => {
    const server = await serve(speech, {
      say: (_, { requestHeader, responseHeader, responseTrailer }) => {
        responseHeader.set('color', `${requestHeader.get('color')} again`);
        responseHeader.set('raw-bin', requestHeader.get('raw-bin') ?? '');
        responseTrailer.set('last', 'word');
        return { value: requestHeader.get('x-md-service-name') ?? '' };
      },
      async *count(_, { responseHeader, responseTrailer }) {
        responseHeader.set('color', 'green');
        yield { value: '1' };
        responseTrailer.set('last', 'word');
      },
    });
    const { client } = clientOf(speech, [server]);
    const bytes = new Uint8Array([0, 255, 7]);
    const headers = new Headers({ color: 'blue', 'raw-bin': encodeBinaryHeader(bytes) });
    const heard: (string | null)[] = [];
    const listening = {
      onHeader: (header: Headers) => heard.push(header.get('color')),
      onTrailer: (trailer: Headers) => heard.push(trailer.get('last')),
    };
    let raw = '';
    const answer = await client.say(
      { value: '' },
      {
        headers,
        onHeader: (header) => {
          listening.onHeader(header);
          raw = header.get('raw-bin') ?? '';
        },
        onTrailer: listening.onTrailer,
      },
    );
    expect(answer.value).toBe('caller');
    expect(decodeBinaryHeader(raw)).toEqual(bytes);
    expect([...headers.keys()]).toEqual(['color', 'raw-bin']);
    expect(await all(client.count({ value: '' }, listening))).toEqual(['1']);
    expect(heard).toEqual(['blue again', 'word', 'green', 'word']);
  });

  it('ends with the code of the callee, its details and headers included', async () => {
    const refuse = () => {
      throw new ConnectError('no such', Code.NotFound, { why: 'because' });
    };
    const { client } = clientOf(speech, [
      await serve(speech, {
        say: refuse,
        collect: refuse,
        count: async function* () {
          yield { value: '1' };
          refuse();
        },
      }),
    ]);
    const read: string[] = [];
    const counting = async () => {
      for await (const { value } of client.count({ value: '' })) read.push(value);
    };
    const ends = [client.say({ value: '' }), client.collect(saying('a')), counting()];
    for (const error of await Promise.all(ends.map(errorOf))) {
      expect(error).toMatchObject({ code: Code.NotFound, rawMessage: 'no such' });
      expect(error.metadata.get('why')).toBe('because');
    }
    expect(read).toEqual(['1']);
  });

  it('sends calls that may be sent twice to another endpoint, and streams until their first message', async () => {
    const unavailable = refusing(Code.Unavailable);
    const bad = await serve(speech, { look: unavailable, tail: unavailable as never });
    const { client } = clientOf(speech, [bad, await serve(speech)], alone);
    for (let i = 0; i < 10; i++) {
      expect(await client.look({ value: 'x' })).toMatchObject({ value: 'seen x' });
      expect(await all(client.tail({ value: '2' }))).toEqual(['1', '2']);
    }
  });

  it('does not send others twice, nor streams that have begun', async () => {
    let seen = 0;
    const unavailable = refusing(Code.Unavailable, () => seen++);
    const halfway = async function* () {
      seen++;
      yield { value: '1' };
      throw new ConnectError('no more', Code.Unavailable);
    };
    const bad = await serve(speech, {
      say: unavailable,
      collect: refusing(Code.Unavailable, () => seen++) as never,
      count: halfway,
      tail: halfway,
    });
    const { client } = clientOf(speech, [bad], alone);
    expect(await codeOf(client.say({ value: '' }))).toBe(Code.Unavailable);
    expect(await codeOf(client.collect(saying('a')))).toBe(Code.Unavailable);
    expect(await codeOf(all(client.count({ value: '' })))).toBe(Code.Unavailable);
    expect(await codeOf(all(client.tail({ value: '' })))).toBe(Code.Unavailable);
    expect(seen).toBe(4);
  });

  it('sends any call again that nobody can have seen', async () => {
    const gone = await replica(speech);
    gone.close();
    const { client } = clientOf(speech, [gone, await serve(speech)], alone);
    for (let i = 0; i < 10; i++) {
      expect(await client.say({ value: 'x' })).toMatchObject({ value: 'hello x' });
      expect(await client.collect(saying('a', 'b'))).toMatchObject({ value: 'a,b' });
      expect(await all(client.count({ value: '2' }))).toEqual(['1', '2']);
      if (speech.httpVersion === '2') expect(await all(client.chat(saying('a')))).toEqual(['re: a']);
    }
  });

  it('ends in time: by the policy, by the call, by the inbound call; and tells the callee', async () => {
    const told: (number | undefined)[] = [];
    const signals: AbortSignal[] = [];
    const never = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        signals.push(signal);
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const server = await serve(speech, {
      say: (_, { timeoutMs, signal }) => {
        told.push(timeoutMs());
        return never(signal);
      },
      async *count(_, { timeoutMs, signal }) {
        told.push(timeoutMs());
        yield { value: '1' };
        await never(signal);
      },
    });
    const { client } = clientOf(speech, [server], { timeoutMs: 80 });
    expect(await codeOf(client.say({ value: '' }))).toBe(Code.DeadlineExceeded);
    expect(await codeOf(client.say({ value: '' }, { timeoutMs: 40 }))).toBe(Code.DeadlineExceeded);
    const inbound = createCall({
      side: 'server',
      service: 'caller',
      operation: 'GET /',
      deadline: performance.now() + 40,
    });
    const inherited = runWithCall(inbound, () => client.say({ value: '' }, { timeoutMs: 10_000 }));
    expect(await codeOf(inherited)).toBe(Code.DeadlineExceeded);
    expect(await codeOf(all(client.count({ value: '' }, { timeoutMs: 60 })))).toBe(Code.DeadlineExceeded);
    expect(told).toHaveLength(4);
    for (const [at, most] of [80, 40, 40, 60].entries()) {
      expect(told[at]).toBeGreaterThan(-50);
      expect(told[at]).toBeLessThanOrEqual(most);
    }
    await vi.waitFor(() => expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true, true]));
  });

  it('hears the abort of the caller, before, during and after the beginning', async () => {
    const signals: AbortSignal[] = [];
    const hang = async (signal: AbortSignal) => {
      signals.push(signal);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason;
    };
    const server = await serve(speech, {
      say: (_, { signal }) => hang(signal) as Promise<never>,
      async *count(_, { signal }) {
        yield { value: '1' };
        await hang(signal);
      },
    });
    const { client, app } = clientOf(speech, [server], alone);
    const mine = new Error('mine');
    const early = await errorOf(client.say({ value: '' }, { signal: AbortSignal.abort(mine) }));
    expect(early).toMatchObject({ code: Code.Canceled, cause: mine });
    const during = new AbortController();
    const saying = errorOf(client.say({ value: '' }, { signal: during.signal }));
    await vi.waitFor(() => expect(signals).toHaveLength(1));
    expect(inflight(app)).toBe(1);
    during.abort(mine);
    expect(await saying).toMatchObject({ code: Code.Canceled, cause: mine });
    const after = new AbortController();
    const read: string[] = [];
    const counting = errorOf(
      (async () => {
        for await (const { value } of client.count({ value: '' }, { signal: after.signal })) read.push(value);
      })(),
    );
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    await vi.waitFor(() => expect(read).toEqual(['1']));
    after.abort(mine);
    expect(await counting).toMatchObject({ code: Code.Canceled, cause: mine });
    await vi.waitFor(() => expect(signals.every(({ aborted }) => aborted)).toBe(true));
  });

  it('hedges a slow call, and cancels the copy that lost', async () => {
    const signals: AbortSignal[] = [];
    const slow = (_: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise<never>((_resolve, reject) => {
        signals.push(signal);
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const slowly = async function* (question: unknown, context: { signal: AbortSignal }) {
      yield await slow(question, context);
    };
    const server = await serve(speech, { look: slow, tail: slowly });
    const { client } = clientOf(speech, [server, await serve(speech)], {
      ...alone,
      hedge: { delayMs: 10 },
      timeoutMs: 5000,
    });
    for (let i = 0; i < 4; i++) {
      expect(await client.look({ value: 'x' })).toMatchObject({ value: 'seen x' });
      expect(await all(client.tail({ value: '2' }))).toEqual(['1', '2']);
    }
    await vi.waitFor(() => expect(signals.every(({ aborted }) => aborted)).toBe(true));
  });
});

describe('a call', () => {
  const priorityOf: GreeterImpl = {
    say: (_, { requestHeader }) => ({ value: requestHeader.get('x-md-global-priority') ?? 'none' }),
  };

  it('has options of its own in its context values', async () => {
    let seen = 0;
    const server = await serve(grpc, { ...priorityOf, look: refusing(Code.Unavailable, () => seen++) });
    const { client } = clientOf(grpc, [server], alone);
    const say = (options: Parameters<ReturnType<typeof createContextValues>['set']>[1]) =>
      client.say({ value: '' }, { contextValues: createContextValues().set(governance, options as never) });
    expect((await client.say({ value: '' })).value).toBe('none');
    expect((await say({ priority: 7 })).value).toBe('7');
    expect((await errorOf(say({ priority: 7.5 }))).cause).toBeInstanceOf(RangeError);
    expect((await errorOf(say({ idempotant: true }))).message).toContain(
      'governance.idempotant is not an option: did you mean idempotent? There are priority, key, idempotent, hedge',
    );
    expect((await errorOf(say({ timeoutMs: 5 }))).message).toContain('governance.timeoutMs is not an option');
    const once = createContextValues().set(governance, { idempotent: false });
    expect(await codeOf(client.look({ value: '' }, { contextValues: once }))).toBe(Code.Unavailable);
    expect(seen).toBe(1);
  });

  it.each([
    [true, 2],
    [['Say'], 2],
    [['/test.Greeter/Say'], 2],
    [['Other'], 1],
    [({ name }: { name: string }) => name === 'Say', 2],
    [false, 1],
  ] as const)('may be sent twice if options say so: %s', async (idempotent, attempts) => {
    let seen = 0;
    const server = await serve(connect, { say: refusing(Code.Internal, () => seen++) });
    const { client } = clientOf(connect, [server], { ...alone, idempotent });
    expect(await codeOf(client.say({ value: '' }))).toBe(Code.Internal);
    expect(seen).toBe(attempts);
  });

  it('takes metadata along that flows through the inbound call, and its priority', async () => {
    const color = metadataKey('x-md-global-color');
    const server = await serve(connect, {
      say: (_, { requestHeader }) => ({
        value: `${requestHeader.get('x-md-global-color')} ${requestHeader.get('x-md-global-priority')}`,
      }),
    });
    const { client } = clientOf(connect, [server]);
    const inbound = createCall({ side: 'server', service: 'caller', operation: 'GET /', priority: 3 });
    const answer = await runWithCall(inbound, () => {
      metadataOf().set(color, 'blue');
      return client.say({ value: '' });
    });
    expect(answer.value).toBe('blue 3');
  });

  it('that is refused says so by its code, and by its cause', async () => {
    const server = await serve(grpc);
    const never = { code: 'OVERLOADED' as const, tryAcquire: () => null };
    const limited = clientOf(grpc, [server], { limits: [never] }).client;
    const broken = clientOf(grpc, [server], { gates: () => [{ ...never, code: 'BREAKER_OPEN' }] }).client;
    const nobody = clientOf(grpc, [], { resolveTimeoutMs: 20 }).client;
    for (const [client, code, rejection] of [
      [limited, Code.ResourceExhausted, 'OVERLOADED'],
      [broken, Code.Unavailable, 'BREAKER_OPEN'],
      [nobody, Code.Unavailable, 'NO_ENDPOINT'],
    ] as const) {
      const ends = [
        client.say({ value: '' }),
        all(client.count({ value: '1' })),
        client.collect(saying('a')),
      ];
      for (const error of await Promise.all(ends.map(errorOf))) {
        expect(error.code).toBe(code);
        expect(isGovernanceError(error.cause) && error.cause.code).toBe(rejection);
      }
    }
  });

  it('passes the middlewares of the policy; what they throw is a fault on this side', async () => {
    const calls: Call[] = [];
    const { client } = clientOf(grpc, [await serve(grpc)], {
      use: [
        (next) => (request, call) => {
          calls.push(call);
          if (request.method.name === 'Count') throw new TypeError('no');
          return next(request, call);
        },
      ],
    });
    await client.say({ value: '' });
    expect(calls[0]).toMatchObject({ operation: '/test.Greeter/Say', side: 'client', idempotent: false });
    const error = await errorOf(all(client.count({ value: '' })));
    expect(error.code).toBe(Code.Internal);
    expect(error.cause).toBeInstanceOf(TypeError);
  });
});

describe('an endpoint', () => {
  it('has one transport, which is closed when it has left', async () => {
    const made: string[] = [];
    let closed = 0;
    const server = await serve(grpc);
    const { client, app } = clientOf(grpc, [{ url: server.url.replace('http:', 'grpc:') }], {
      transport: (baseUrl, endpoint) => {
        made.push(baseUrl, endpoint.url);
        const transport = grpc.transport(baseUrl);
        const close = () => {
          closed++;
          transport.close();
        };
        return { ...transport, close };
      },
    });
    for (let i = 0; i < 3; i++) await client.say({ value: '' });
    expect(made).toEqual([server.url, server.url.replace('http:', 'grpc:')]);
    expect(closed).toBe(0);
    await app.stop();
    expect(closed).toBe(1);
    expect(await codeOf(client.say({ value: '' }))).toBe(Code.Unavailable);
  });

  it('of which no transport can be made fails its own calls only', async () => {
    const good = await serve(grpc);
    const { client } = clientOf(grpc, [good, { url: 'http://127.0.0.1:1' }], {
      transport: (baseUrl) => (baseUrl.endsWith(':1') ? (undefined as never) : grpc.transport(baseUrl)),
    });
    const ends = await Promise.allSettled(Array.from({ length: 10 }, () => client.look({ value: '' })));
    expect(ends.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
  });

  it('is chosen by scheme', async () => {
    const server = await serve(grpc);
    const urls = [{ url: 'https://127.0.0.1:1' }, { url: server.url.replace('http:', 'h2c:') }];
    const { client } = clientOf(grpc, urls, { schemes: ['h2c'] });
    for (let i = 0; i < 5; i++) expect((await client.say({ value: 'x' })).value).toBe('hello x');
  });
});

describe('options', () => {
  it.each([
    [{ transport: undefined }, TypeError],
    [{ schemes: [] }, TypeError],
    [{ schemes: ['ftp'] }, RangeError],
    [{ idempotent: 'Say' }, TypeError],
    [{ idempotent: [''] }, TypeError],
    [{ streamTimeoutMs: 0 }, RangeError],
    [{ timeoutMs: -1 }, RangeError],
    [{ nonsense: 1 }, TypeError],
  ])('%o cannot work', (options, kind) => {
    expect(() => clientOf(grpc, [], options as Options)).toThrow(kind);
  });
});
