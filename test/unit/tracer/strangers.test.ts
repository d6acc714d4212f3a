import { carrier, compose, createCall, trustedPeer } from 'keelson/core';
import { type HttpServerExchange, httpServerSemantics, tracing } from 'keelson/telemetry';
import { expect, it } from 'vitest';
import { tracedHere } from '../../doubles/traced-here.js';

const exchange: HttpServerExchange = {
  req: { method: 'GET', url: '/', httpVersion: '1.1', headers: {}, socket: {} },
  res: { statusCode: 200 },
};

it.each([
  ['that is trusted', true, 10],
  ['that is not', false, 1],
] as const)('of the sampled traces of a peer %s so many are kept', async (_, trusted, kept) => {
  const here = tracedHere({ sampling: { mode: 'rateLimit', perSecond: 1 } });
  const serve = compose(
    [tracing({ side: 'server', semantics: httpServerSemantics, tracerProvider: here.provider })],
    async () => exchange as never,
  );
  for (let n = 0; n < 10; n++) {
    const traceparent = `00-${'a'.repeat(31)}${n}-b7ad6b7169203331-01`;
    const call = createCall({
      side: 'server',
      service: 's',
      operation: 'GET /',
      headers: carrier({ traceparent }),
    });
    call.values.set(trustedPeer, trusted);
    await serve(exchange as never, call);
  }
  expect(here.sink.spans).toHaveLength(kept);
});
