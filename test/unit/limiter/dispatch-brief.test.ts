import { EventEmitter } from 'node:events';
import { createCall } from 'keelson/core';
import { type HttpExchange, serveHandler } from 'keelson/http';
import { dispatchQueue } from 'keelson/limiter';
import { manualClock } from 'keelson/testing';
import { expect, it } from 'vitest';

/** As much of a response as a handler that answers at once touches. */
class StubResponse extends EventEmitter {
  statusCode = 200;
  headersSent = false;
  writeHead() {
    this.headersSent = true;
    return this;
  }
}

it('a call that is answered before its handler returns runs until that has, and costs as long', async () => {
  const clock = manualClock();
  const queue = dispatchQueue({ clock, busyMs: () => Number.NaN });
  const running: number[] = [];
  const handler = queue.middleware<HttpExchange, HttpExchange>()(
    serveHandler(
      (_req, res) => {
        res.writeHead(200);
        running.push(queue.snapshot(clock.now()).running);
        clock.advanceSync(7);
      },
      { clock, context: false },
    ),
  );
  for (let i = 0; i < 2; i++) {
    const exchange = { req: { headers: {} }, res: new StubResponse() } as unknown as HttpExchange;
    const call = createCall({ side: 'server', service: 's', operation: 'GET /a' });
    await expect(handler(exchange, call)).resolves.toBe(exchange);
  }
  expect(running).toEqual([1, 1]);
  const { running: left, serviceMs } = queue.snapshot(clock.now());
  expect(left).toBe(0);
  expect(serviceMs).toBeCloseTo(7, 0);
});
