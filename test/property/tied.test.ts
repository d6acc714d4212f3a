import fc from 'fast-check';
import { type Call, compose, createCall, type Endpoint, type Handler, noticeNext } from 'keelson/core';
import { fetchWire, type HttpRequest, httpProtocol, recover, serveHandler, toListener } from 'keelson/http';
import { tied } from 'keelson/retry';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { fakeExchange } from '../unit/http/fake-exchange.js';

// Both ends as they are, over a network that delays, reorders and loses what it likes: requests, notices, questions and
// their answers. Of a call that must not run twice no two copies ever run, and every lease comes back once.

type Random = () => number;
type Handlers = { onHeaders(status: number): unknown };
type Dispatcher = { dispatch(options: object, handler: object): unknown };

interface Asking {
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  readonly headers: Record<string, string>;
}

interface Heard {
  onConnect(abort: (reason: unknown) => void): void;
  onHeaders(status: number, headers: readonly string[]): void;
  onComplete(): void;
  onError(error: unknown): void;
}

interface Weather {
  /** How likely it is that a message is lost, that is that its connection breaks. */
  readonly lossRatio: number;
  /** The same for questions about copies, and for what is answered to them. */
  readonly askLossRatio: number;
  /** How likely it is that a notice is dropped on its way, by a proxy for example. */
  readonly deafRatio: number;
  /** Longest that a message takes, and that a call stands in line; milliseconds. */
  readonly tripMs: number;
  readonly lineMs: number;
  /** How likely it is that a question reaches another process behind the same address. */
  readonly strayRatio: number;
  /** Whether both addresses lead to one process. */
  readonly oneProcess: boolean;
}

function world(seed: number, weather: Weather) {
  const clock = manualClock(1000);
  const random: Random = seededRandom(seed);
  let calm = true;
  const sleep = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
  const chance = (ratio: number): boolean => !calm && random() < ratio;
  const trip = () => sleep(calm ? 0.1 : random() * weather.tripMs);
  const reset = () => new TypeError('fetch failed', { cause: { code: 'ECONNRESET' } });
  const ran = new Map<string, number>();
  let grants = 0;

  const replica = () => {
    const serve = serveHandler(
      async (req, res) => {
        const id = req.headers['x-call'] as string;
        ran.set(id, (ran.get(id) ?? 0) + 1);
        await sleep(calm ? 0 : random() * 5);
        res.setHeader('x-keelson-load', 'backlog=50, service=5, rate=150');
        res.end('done');
      },
      { clock },
    );
    // A line that heeds cancels, as a queue does.
    const line =
      (next: typeof serve): typeof serve =>
      async (exchange, call) => {
        const waitMs = calm ? 0 : random() * weather.lineMs;
        const turn = sleep(waitMs);
        // Some queues know before which call is the next.
        if (random() < 0.5) clock.after(waitMs * random(), () => noticeNext(call));
        const left = new Promise<void>((resolve) => void call.cancel.onAbort(resolve));
        await Promise.race([turn, left]);
        if (call.cancel.aborted) throw call.cancel.reason;
        return next(exchange, call);
      };
    return toListener(compose([recover(), line], serve), {
      service: 'users',
      trust: true,
      tied: true,
      clock,
    });
  };
  const only = replica();
  const replicas = ['http://10.0.0.1:1', 'http://10.0.0.2:1'].map((url) => ({
    url,
    listener: weather.oneProcess ? only : replica(),
  }));

  /** A fetch whose messages go through the weather. */
  const fetch = async (url: string, init: RequestInit & { dispatcher: Dispatcher }): Promise<Response> => {
    const { signal } = init;
    let fail: (error: unknown) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => undefined);
    const handler: Handlers = { onHeaders: () => undefined };
    init.dispatcher.dispatch({}, handler);
    const deliver = async (): Promise<Response> => {
      const { origin, pathname } = new URL(url);
      const asks = pathname === '/.well-known/keelson/tied';
      const lossRatio = asks ? weather.askLossRatio : weather.lossRatio;
      await trip();
      if (chance(lossRatio)) throw reset();
      const at = replicas.find((one) => one.url === origin);
      const listener = asks && chance(weather.strayRatio) ? replica() : at?.listener;
      const headers = Object.fromEntries(new Headers(init.headers).entries());
      const exchange = fakeExchange({ method: init.method ?? 'GET', url: pathname, headers });
      signal?.addEventListener('abort', () => exchange.disconnect());
      let heard = false;
      const closed = new Promise<void>((resolve) => exchange.res.once('close', resolve));
      const { writeProcessing } = exchange.res;
      exchange.res.writeProcessing = () => {
        writeProcessing.call(exchange.res);
        if (heard || chance(weather.deafRatio)) return;
        heard = true;
        trip().then(() => handler.onHeaders(102), fail);
      };
      listener?.(exchange.req, exchange.res);
      await closed;
      await trip();
      if (chance(lossRatio)) throw reset();
      const { statusCode } = exchange.res;
      handler.onHeaders(statusCode);
      const answer = Object.entries(exchange.res.getHeaders()).map(([name, value]) => [name, String(value)]);
      const told = /x-keelson-tied: (\w+)/i.exec(exchange.written())?.[1];
      if (told === 'granted') grants++;
      if (told !== undefined) answer.push(['x-keelson-tied', told]);
      return new Response(null, { status: statusCode, headers: answer as [string, string][] });
    };
    signal?.addEventListener('abort', () => fail(signal.reason));
    return Promise.race([deliver(), failed]);
  };
  class Agent {
    /** A question goes past fetch; of anything else this is told only who wants to hear of it. */
    dispatch(options: Partial<Asking>, handler: Partial<Heard>): void {
      const { origin, path, method, headers } = options;
      if (origin === undefined) return;
      const controller = new AbortController();
      handler.onConnect?.((reason) => controller.abort(reason));
      const init = { method, headers, signal: controller.signal, dispatcher: { dispatch: () => undefined } };
      fetch(`${origin}${path}`, init as never).then(
        (response) => {
          handler.onHeaders?.(response.status, [...response.headers].flat());
          handler.onComplete?.();
        },
        (error: unknown) => handler.onError?.(error),
      );
    }
    close(): Promise<void> {
      return Promise.resolve();
    }
  }
  const wire = fetchWire({ undici: { Agent: Agent as never, fetch } });
  const lines = replicas.map(({ url }) => {
    const endpoint: Endpoint = { id: url, url, weight: 100, metadata: {} };
    return { endpoint, connection: wire.connect(endpoint) };
  });
  let leases = 0;
  const leaf: Handler<HttpRequest, Response> = (request, call) => {
    const open = lines.filter(({ endpoint }) => !call.attempt.avoid?.has(endpoint.id));
    const list = open.length > 0 ? open : lines;
    const { endpoint, connection } = list[Math.floor(random() * list.length)] as (typeof lines)[number];
    call.attempt.endpoint = endpoint;
    call.attempt.choices = lines.length;
    leases++;
    let over = 0;
    return connection.handler(request, call).finally(() => {
      over++;
      if (over === 1) leases--;
    });
  };
  const send = tied<HttpRequest, Response>({ protocol: httpProtocol, delayMs: 1, clock, minLoadRatio: 0 })(
    leaf,
  );
  let calls = 0;
  const ask = (method: string): { id: string; answer: Promise<number> } => {
    const id = String(++calls);
    const call: Call = createCall({
      side: 'client',
      service: 'users',
      operation: method,
      idempotent: method === 'GET',
    });
    call.headers.set('x-call', id);
    return {
      id,
      answer: send({ method, path: '/x', init: undefined }, call).then(
        ({ status }) => status,
        () => -1,
      ),
    };
  };
  return {
    clock,
    ran,
    ask,
    leases: () => leases,
    grants: () => grants,
    /** Until both endpoints have told of a start and of their load. */
    async learn() {
      calm = true;
      for (let round = 0; round < 8; round++) {
        const { answer } = ask('GET');
        await clock.advance(20);
        expect(await answer).toBe(200);
      }
      calm = false;
    },
  };
}

const weathers: fc.Arbitrary<Weather> = fc.record({
  lossRatio: fc.constantFrom(0, 0, 0.05, 0.3),
  askLossRatio: fc.constantFrom(0, 0, 0.3),
  deafRatio: fc.constantFrom(0, 0, 0.2, 1),
  tripMs: fc.constantFrom(0.2, 2, 30, 1500),
  lineMs: fc.constantFrom(0, 3, 20, 2500),
  strayRatio: fc.constantFrom(0, 0, 0.3),
  oneProcess: fc.boolean(),
});

const many = 8;

async function run(seed: number, weather: Weather, method: string) {
  const scene = world(seed, weather);
  await scene.learn();
  const calls = Array.from({ length: many }, () => scene.ask(method));
  let open = many;
  for (const { answer } of calls) {
    answer.then(
      () => open--,
      () => open--,
    );
  }
  // Beyond all limits: of questions, of parked copies, of patience.
  for (let ms = 0; ms < 40_000 && (open > 0 || scene.leases() > 0); ms += 50) await scene.clock.advance(50);
  expect(open).toBe(0);
  const answers = await Promise.all(calls.map(({ answer }) => answer));
  return { scene, runs: calls.map(({ id }) => scene.ran.get(id) ?? 0), answers };
}

describe('tied requests', () => {
  it('run a call that must not run twice at most once, whatever is lost or late', async () => {
    let grants = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), weathers, async (seed, weather) => {
        const { scene, runs, answers } = await run(seed, weather, 'POST');
        expect(Math.max(...runs)).toBeLessThanOrEqual(1);
        // An answer is only given for what ran, and what nobody lost is answered.
        for (const [at, status] of answers.entries()) if (status === 200) expect(runs[at]).toBe(1);
        if (weather.lossRatio === 0) expect(answers).toEqual(Array.from({ length: many }, () => 200));
        expect(scene.leases()).toBe(0);
        grants += scene.grants();
      }),
      { numRuns: 100 },
    );
    expect(grants).toBeGreaterThan(20);
  }, 60_000);

  it('answer every call that may run twice, once, if nothing is lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), weathers, async (seed, weather) => {
        const { scene, runs, answers } = await run(seed, weather, 'GET');
        expect(Math.max(...runs)).toBeLessThanOrEqual(2);
        if (weather.lossRatio === 0) expect(answers).toEqual(Array.from({ length: many }, () => 200));
        for (const [at, status] of answers.entries()) if (status === 200) expect(runs[at]).toBeGreaterThan(0);
        expect(scene.leases()).toBe(0);
      }),
      { numRuns: 50 },
    );
  }, 60_000);
});
