import { Metadata, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { type Call, compose, createCall, GovernanceError, type Middleware } from 'keelson/core';
import { deadline } from 'keelson/deadline';
import { type GrpcExchange, grpcServerProtocol, type ServerStatus } from 'keelson/grpc';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { InboundCall, type InnerListener } from '../../../src/grpc/inbound-call.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { recoverGrpc } from '../../../src/grpc/server-recover.js';

interface Setup {
  readonly requestStream?: boolean;
  readonly responseStream?: boolean;
  readonly requestTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
  readonly abandonedMs?: number;
  readonly timeoutMs?: number;
  /** Of the client, from now on. */
  readonly leftMs?: number;
  readonly use?: readonly Middleware<GrpcExchange, GrpcExchange>[];
}

/** A call with the wire and the handler played by hand, on a clock that stands still. */
function setup(given: Setup = {}) {
  const clock = manualClock();
  const sent: unknown[] = [];
  const heard: string[] = [];
  const told: unknown[] = [];
  let fromWire: InnerListener | undefined;
  let taken: (() => void) | undefined;
  const bornAt = Date.now();
  const wire = {
    start: (listener: InnerListener) => {
      fromWire = listener;
    },
    sendMetadata: () => void sent.push('metadata'),
    sendMessage: (message: unknown, done: () => void) => {
      sent.push(message);
      taken = done;
    },
    sendStatus: ({ code, details }: ServerStatus) => void sent.push(`${code} ${details}`),
    startRead: () => undefined,
    getPeer: () => '127.0.0.1:5000',
    getDeadline: () => bornAt + (given.leftMs ?? Number.POSITIVE_INFINITY),
  } as unknown as ServerInterceptingCallInterface;
  let result: Promise<GrpcExchange> | undefined;
  const calls: Call[] = [];
  const stack = compose<GrpcExchange, GrpcExchange>(
    [
      recoverGrpc((error) => told.push(error)),
      deadline({
        timeoutMs: given.timeoutMs ?? Number.POSITIVE_INFINITY,
        protocol: grpcServerProtocol,
        clock,
      }),
      ...(given.use ?? []),
      (next) => (exchange, call) => {
        calls.push(call);
        result = next(exchange, call);
        result.catch(() => undefined);
        return result;
      },
    ],
    (exchange, call) => (exchange as InboundCall).run(call),
  );
  const { requestStream = false, responseStream = false } = given;
  const inbound = new InboundCall(
    wire,
    { path: '/t.S/M', requestStream, responseStream },
    {
      clock,
      stack,
      open: (exchange) =>
        createCall({ side: 'server', service: 's', operation: '/t.S/M', cancel: exchange.cancel }),
      tell: (error) => told.push(error),
      requestTimeoutMs: given.requestTimeoutMs ?? Number.POSITIVE_INFINITY,
      stallTimeoutMs: given.stallTimeoutMs ?? Number.POSITIVE_INFINITY,
      teller: undefined,
      tied: undefined,
      abandonedMs: given.abandonedMs ?? 30_000,
    },
  );
  inbound.start({
    onReceiveMetadata: () => void heard.push('metadata'),
    onReceiveMessage: (message: unknown) => void heard.push(`message ${message}`),
    onReceiveHalfClose: () => void heard.push('end'),
    onCancel: () => void heard.push('cancel'),
  });
  /** How the innermost handler of the stack ended. */
  const settled = () =>
    Promise.race([
      result?.then(
        ({ status: given }) => `answered ${given?.code ?? 'begun'}`,
        (error: unknown) => `failed ${(error as GovernanceError).code ?? error}`,
      ),
      new Promise((resolve) => setImmediate(resolve, 'open')),
    ]);
  const begin = () => fromWire?.onReceiveMetadata(new Metadata());
  return {
    clock,
    inbound,
    sent,
    heard,
    told,
    calls,
    settled,
    begin,
    request: (message: unknown = 'q') => {
      fromWire?.onReceiveMessage(message);
      fromWire?.onReceiveHalfClose();
    },
    message: (message: unknown) => fromWire?.onReceiveMessage(message),
    /** The wire says that all is over. */
    close: () => fromWire?.onCancel(),
    /** The wire took the message. */
    take: () => taken?.(),
  };
}

const ok: ServerStatus = { code: 0, details: 'OK', metadata: null };

describe('an inbound call', () => {
  it('gives nothing to the handler before it is let in, and all in order', async () => {
    let admit: (() => void) | undefined;
    const door = new Promise<void>((resolve) => {
      admit = resolve;
    });
    const at = setup({ use: [(next) => (exchange, call) => door.then(() => next(exchange, call))] });
    at.begin();
    expect(at.heard).toEqual([]);
    admit?.();
    await door;
    await Promise.resolve();
    at.request();
    expect(at.heard).toEqual(['metadata', 'message q', 'end']);
  });

  it('is answered by its message, and over when the wire says so', async () => {
    const at = setup();
    at.begin();
    at.request();
    expect(await at.settled()).toBe('open');
    at.inbound.sendMetadata(new Metadata());
    expect(await at.settled()).toBe('open');
    at.inbound.sendMessage('a', () => undefined);
    expect(await at.settled()).toBe('answered begun');
    at.inbound.sendStatus(ok);
    expect(at.inbound.over).toBe(false);
    at.close();
    expect(at.inbound.over).toBe(true);
    expect(at.inbound.cancel.aborted).toBe(false);
    expect(at.sent).toEqual(['metadata', 'a', '0 OK']);
    expect(at.heard.at(-1)).toBe('cancel');
  });

  it('of a method that answers with a stream is answered by its metadata', async () => {
    const at = setup({ responseStream: true });
    at.begin();
    at.request();
    at.inbound.sendMetadata(new Metadata());
    expect(await at.settled()).toBe('answered begun');
  });

  it('is over once, and tells all who wait in order, whatever one of them throws', () => {
    const at = setup();
    const order: number[] = [];
    at.begin();
    at.inbound.whenOver(() => {
      order.push(1);
      throw new Error('a gate');
    });
    at.inbound.whenOver(() => order.push(2));
    at.close();
    at.close();
    expect(order).toEqual([1, 2]);
    expect(at.heard).toEqual(['metadata', 'cancel']);
  });

  it('hears nothing more when it is over', () => {
    const at = setup({ requestStream: true });
    at.begin();
    at.close();
    at.message('late');
    at.request('later');
    expect(at.heard).toEqual(['metadata', 'cancel']);
  });

  it('sends nothing more when its status is decided', () => {
    const at = setup();
    at.begin();
    at.inbound.sendStatus({ code: 5, details: 'no', metadata: null });
    at.inbound.sendStatus(ok);
    at.inbound.sendMetadata(new Metadata());
    at.inbound.sendMessage('late', () => undefined);
    at.inbound.answer(new Error('late'));
    expect(at.sent).toEqual(['5 no']);
  });
});

describe('a client that goes away', () => {
  it('cancels the call; a handler of whom nothing is known counts no longer', async () => {
    const at = setup();
    at.begin();
    at.request();
    at.close();
    expect(at.inbound.cancel.reason).toMatchObject({ code: 'CANCELLED', side: 'server' });
    expect(at.inbound.status?.code).toBe(status.CANCELLED);
    expect(await at.settled()).toBe('answered 1');
    expect(at.sent).toEqual([]);
    expect(at.told).toEqual([]);
  });

  it('at the very end of its time has run out of it', async () => {
    const at = setup({ leftMs: 5 });
    at.begin();
    at.close();
    expect(at.inbound.cancel.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await at.settled()).toBe('answered 4');
  });

  it('leaves a handler that works counted until it is done', async () => {
    const at = setup();
    at.begin();
    at.request();
    let done: (() => void) | undefined;
    at.inbound.worksOn(
      new Promise<void>((resolve) => {
        done = resolve;
      }),
    );
    at.close();
    expect(await at.settled()).toBe('open');
    done?.();
    expect(await at.settled()).toBe('answered 1');
  });

  it('leaves a handler that hangs counted for so long only', async () => {
    const at = setup({ abandonedMs: 100 });
    at.begin();
    at.request();
    at.inbound.worksOn(new Promise(() => undefined));
    at.close();
    await at.clock.advance(99);
    expect(await at.settled()).toBe('open');
    await at.clock.advance(10);
    expect(await at.settled()).toBe('answered 1');
  });
});

describe('a deadline', () => {
  it('of the server is answered in the handler\u2019s place', async () => {
    const at = setup({ timeoutMs: 50 });
    at.begin();
    at.request();
    await at.clock.advance(60);
    await at.settled();
    expect(at.sent).toHaveLength(1);
    expect(at.sent[0]).toMatch(/^4 /);
    at.inbound.sendMessage('late', () => undefined);
    expect(at.sent).toHaveLength(1);
    at.close();
    expect(await at.settled()).toBe('answered 4');
  });

  it('ends an answer that the client does not take', async () => {
    const at = setup({ leftMs: 5000, responseStream: true });
    at.begin();
    at.request();
    at.inbound.sendMessage('a', () => undefined);
    await at.clock.advance(5100);
    expect(at.inbound.over).toBe(true);
    expect(at.inbound.cancel.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(at.heard.at(-1)).toBe('cancel');
    expect(at.sent[1]).toMatch(/^4 /);
    at.close();
    expect(at.heard.filter((event) => event === 'cancel')).toHaveLength(1);
  });

  it('keeps the status of a handler that was done, although the client does not take it', async () => {
    const at = setup({ leftMs: 5000, responseStream: true });
    at.begin();
    at.request();
    at.inbound.sendMessage('a', () => undefined);
    at.inbound.sendStatus(ok);
    await at.clock.advance(5100);
    expect(at.inbound.over).toBe(true);
    expect(at.inbound.status?.code).toBe(0);
    expect(at.sent).toEqual(['a', '0 OK']);
  });

  it('leaves nothing waiting when the call is over in time', async () => {
    const at = setup({ leftMs: 5000, requestTimeoutMs: 1000, stallTimeoutMs: 1000 });
    at.begin();
    at.request();
    at.inbound.sendMessage('a', () => undefined);
    at.take();
    at.inbound.sendStatus(ok);
    at.close();
    await at.clock.advance(10_000);
    expect(at.inbound.cancel.aborted).toBe(false);
    expect(at.heard).toEqual(['metadata', 'message q', 'end', 'cancel']);
  });
});

describe('a client that does not do its part', () => {
  it('and sends no request is ended', async () => {
    const at = setup({ requestTimeoutMs: 100 });
    at.begin();
    await at.clock.advance(110);
    expect(at.sent).toEqual(['1 /t.S/M: the request did not arrive within 100 ms']);
    expect(at.inbound.over).toBe(true);
    expect(await at.settled()).toBe('answered 1');
  });

  it('and sends it in time is not', async () => {
    const at = setup({ requestTimeoutMs: 100 });
    at.begin();
    await at.clock.advance(90);
    at.request();
    await at.clock.advance(90);
    expect(at.sent).toEqual([]);
  });

  it('may be silent on a stream', async () => {
    const at = setup({ requestTimeoutMs: 100, requestStream: true });
    at.begin();
    await at.clock.advance(1000);
    expect(at.sent).toEqual([]);
  });

  it('and reads nothing is cut where that is wanted', async () => {
    const at = setup({ stallTimeoutMs: 100, responseStream: true });
    at.begin();
    at.request();
    at.inbound.sendMessage('a', () => undefined);
    await at.clock.advance(90);
    at.take();
    at.inbound.sendMessage('b', () => undefined);
    await at.clock.advance(90);
    expect(at.inbound.over).toBe(false);
    await at.clock.advance(20);
    expect(at.inbound.over).toBe(true);
    expect(at.inbound.cancel.reason).toMatchObject({ code: 'CANCELLED' });
  });
});

describe('a handler that fails', () => {
  it('before its answer leaves it to the stack', async () => {
    const at = setup();
    const error = new Error('secret');
    at.begin();
    at.request();
    at.inbound.fail(error);
    // What grpc-js itself makes of it comes first, and is not heard.
    at.inbound.sendStatus({ code: 2, details: 'secret', metadata: null });
    await at.settled();
    expect(at.sent).toEqual(['2 Unknown error']);
    expect(at.told).toEqual([error]);
  });

  it('in the middle of a stream ends it', async () => {
    const at = setup({ responseStream: true });
    const error = new GovernanceError('NO_ENDPOINT', 'users: nobody');
    at.begin();
    at.request();
    at.inbound.sendMessage('a', () => undefined);
    at.inbound.fail(error);
    expect(at.sent).toEqual(['a', '14 users: nobody']);
    expect(at.told).toEqual([error]);
  });

  it('after the end is told, and answers nothing', async () => {
    const at = setup();
    const error = new Error('late');
    at.begin();
    at.request();
    at.close();
    at.inbound.fail(error);
    expect(at.sent).toEqual([]);
    expect(at.told).toEqual([error]);
  });

  it('in a way that only grpc-js knows is told as far as it goes', () => {
    const at = setup();
    at.begin();
    at.request();
    at.inbound.sendStatus({ code: 2, details: 'plain', metadata: null });
    expect(at.told).toHaveLength(1);
    expect(String(at.told[0])).toBe('Error: /t.S/M answered UNKNOWN: plain');
  });
});

it('a stack that breaks its promise and rejects is answered all the same', async () => {
  const at = setup();
  const broken = new InboundCall(at.inbound.wire, at.inbound.method, {
    ...(at.inbound as unknown as { parts: ConstructorParameters<typeof InboundCall>[2] }).parts,
    stack: () => {
      throw new Error('a bug');
    },
  });
  broken.start({
    onReceiveMetadata: () => undefined,
    onReceiveMessage: () => undefined,
    onReceiveHalfClose: () => undefined,
    onCancel: () => undefined,
  });
  at.begin();
  await new Promise((resolve) => setImmediate(resolve));
  expect(at.sent).toEqual(['2 Unknown error']);
});
