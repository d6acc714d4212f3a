import { type Call, compose, derive, type Handler, type Middleware, nameOperation } from 'keelson/core';
import {
  admitted,
  type HttpServerExchange,
  httpServerSemantics,
  type TraceHeader,
  tracing,
} from 'keelson/telemetry';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { trustedCall } from '../../doubles/traced-services.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

type Exchange = HttpServerExchange;

let sdk: TracingSdk | undefined;
afterEach(async () => {
  await sdk?.stop();
  sdk = undefined;
});

const id = '0af7651916cd43dd8448eb211c80319c';
const came = { traceparent: `00-${id}-b7ad6b7169203331-01` };
const all: TraceHeader[] = ['traceresponse', 'server-timing', 'x-trace-id'];

async function told(
  responseHeaders: readonly TraceHeader[],
  call: Call,
  res: Partial<Exchange['res']> = {},
): Promise<[string, string][]> {
  const headers: [string, string][] = [];
  const exchange: Exchange = {
    req: { method: 'GET', url: '/', headers: {} },
    res: { statusCode: 200, appendHeader: (name, value) => headers.push([name, value]), ...res },
  };
  await compose<Exchange, Exchange>(
    [tracing({ side: 'server', semantics: httpServerSemantics, responseHeaders })],
    (it) => Promise.resolve(it),
  )(exchange, call);
  return headers;
}

describe('headers of a response', () => {
  it('tell which span served the call', async () => {
    sdk = tracingSdk();
    const headers = await told(all, trustedCall(came));
    const { spanId } = sdk.spans()[0]?.spanContext() ?? {};
    expect(headers).toEqual([
      ['traceresponse', `00-${id}-${spanId}-01`],
      ['server-timing', `traceparent;desc="00-${id}-${spanId}-01"`],
      ['x-trace-id', id],
    ]);
  });

  it('are there only if asked for', async () => {
    sdk = tracingSdk();
    expect(await told([], trustedCall(came))).toEqual([]);
    expect(await told(['x-trace-id'], trustedCall(came))).toEqual([['x-trace-id', id]]);
  });

  it('without an SDK tell the trace of the caller, and no span, since there is none', async () => {
    expect(await told(all, trustedCall(came))).toEqual([['x-trace-id', id]]);
    expect(await told(['traceresponse'], trustedCall(came))).toEqual([]);
    expect(await told(all, trustedCall({}))).toEqual([]);
  });

  it('come too late once there are headers, and cost no call where they throw', async () => {
    sdk = tracingSdk();
    expect(await told(all, trustedCall(came), { headersSent: true })).toEqual([]);
    const appendHeader = (): never => {
      throw new Error('no');
    };
    expect(await told(all, trustedCall(came), { appendHeader })).toEqual([]);
  });

  it.each([[['x-request-id']], ['x-trace-id'], [[7]]])('are checked: %j', (responseHeaders) => {
    expect(() =>
      tracing({ side: 'server', semantics: httpServerSemantics, responseHeaders: responseHeaders as never }),
    ).toThrow(/tracing\.responseHeaders/);
  });
});

describe('a recorded call', () => {
  const clock = manualClock();
  const waits =
    (ms: number): Middleware<Exchange, Exchange> =>
    (next) =>
    async (request, call) => {
      await clock.advance(ms);
      return next(request, derive(call, { deadline: clock.now() + 70 }));
    };
  const serve = (handler: Handler<Exchange, Exchange>, between: readonly Middleware<Exchange, Exchange>[]) =>
    compose<Exchange, Exchange>(
      [tracing({ side: 'server', semantics: httpServerSemantics, clock }), ...between],
      handler,
    )({ req: { method: 'GET', url: '/', headers: {} }, res: { statusCode: 200 } }, trustedCall(came));

  it('tells what it waited in line, and what was left of its time then', async () => {
    sdk = tracingSdk();
    await serve(
      async (it, call) => {
        nameOperation(call, 'GET /');
        await clock.advance(10);
        return it;
      },
      [waits(30), admitted({ clock })],
    );
    expect(sdk.spans()[0]?.attributes).toMatchObject({
      'keelson.queue.wait_ms': 30,
      'keelson.deadline.left_ms': 70,
    });
  });

  it('that never got to its handler tells neither', async () => {
    sdk = tracingSdk();
    await serve((it) => Promise.resolve(it), [waits(30)]);
    const { attributes } = sdk.spans()[0] ?? {};
    expect(attributes).not.toHaveProperty('keelson.queue.wait_ms');
    expect(attributes).not.toHaveProperty('keelson.deadline.left_ms');
  });
});
