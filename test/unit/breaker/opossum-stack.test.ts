import { roundRobin } from 'keelson/balancer';
import { type BreakerEvent, cancelSource } from 'keelson/core';
import { type OpossumGate, opossum } from 'keelson/opossum';
import type { ClientPolicy } from 'keelson/stack';
import CircuitBreaker from 'opossum';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { answer, type Reply, scene } from '../stack/stack-scene.js';

// The stack's clock stands still until it is moved; opossum's timers are the platform's, faked.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

type Policy = ClientPolicy<string, Reply>;

/** One breaker per endpoint, and what is plain: no retries, no ejection. */
function perEndpoint(more: Policy = {}) {
  const made = new Map<string, OpossumGate>();
  const policy: Policy = {
    retry: false,
    ejection: false,
    gates: (endpoint, announce) => {
      const gate = opossum((action, options) => new CircuitBreaker(action, options), {
        name: endpoint.id,
        volumeThreshold: 2,
        resetTimeout: 5000,
        onTransition: announce,
      });
      made.set(new URL(endpoint.url).hostname, gate);
      return [gate];
    },
    ...more,
  };
  const gateOf = (host: string) => made.get(host) as OpossumGate;
  return { policy, gateOf };
}

it('lets the balancer pick another endpoint, tells the bus, and ends with its endpoint', async () => {
  const { policy, gateOf } = perEndpoint();
  const { ask, stack, feed, closed } = scene(
    ({ url }) => [answer(url.includes('a:') ? 500 : 200, url)],
    { ...policy, balancer: roundRobin() },
    ['a', 'b'],
  );
  const events: BreakerEvent[] = [];
  stack.events.on('breaker', (event) => events.push(event));
  for (let i = 0; i < 4; i++) await ask();
  expect(gateOf('a').snapshot().state).toBe('open');
  for (let i = 0; i < 10; i++) expect(await ask()).toBe('200 test://b:1');
  expect(events).toEqual([
    { service: 'users', endpoint: expect.stringContaining('a'), from: 'closed', to: 'open' },
  ]);
  expect(stack.snapshot()[0]?.gates[0]).toMatchObject({ state: 'open', inflight: 0 });

  feed.set('b');
  expect(closed).toEqual(['a']);
  expect(gateOf('a').breaker.isShutdown).toBe(true);
  expect(gateOf('b').breaker.isShutdown).toBe(false);
  stack.close();
  expect(gateOf('b').breaker.isShutdown).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

it('refuses with the code of a breaker when all endpoints are open', async () => {
  const { policy } = perEndpoint();
  const { ask } = scene([answer(500)], policy);
  expect([await ask(), await ask(), await ask()]).toEqual(['500 x', '500 x', 'BREAKER_OPEN']);
});

it('counts a call that the deadline of the stack ended', async () => {
  const { policy, gateOf } = perEndpoint({ timeoutMs: 100 });
  const { ask, clock } = scene([{}], policy);
  for (let i = 0; i < 2; i++) {
    const asked = ask();
    await clock.advance(200);
    expect(await asked).toBe('DEADLINE_EXCEEDED');
  }
  expect(gateOf('a').snapshot()).toMatchObject({ state: 'open', requests: 2, inflight: 0 });
});

it('is freed of a probe that hangs by the deadline of the stack', async () => {
  const { policy, gateOf } = perEndpoint({ timeoutMs: 100 });
  const { ask, clock } = scene([answer(500), answer(500), {}, answer(200)], policy);
  await ask();
  await ask();
  vi.advanceTimersByTime(5000);
  const probe = ask();
  await clock.advance(200);
  expect(await probe).toBe('DEADLINE_EXCEEDED');
  expect(gateOf('a').snapshot()).toMatchObject({ state: 'open', inflight: 0 });
  vi.advanceTimersByTime(5000);
  expect(await ask()).toBe('200 x');
  await vi.advanceTimersByTimeAsync(0);
  expect(gateOf('a').snapshot()).toMatchObject({ state: 'closed', inflight: 0 });
});

it('learns nothing from a caller who hangs up, and a probe of his gives its place back', async () => {
  const { policy, gateOf } = perEndpoint();
  const { ask, clock } = scene([answer(500), answer(500), {}, answer(200)], policy);
  await ask();
  await ask();
  vi.advanceTimersByTime(5000);
  const cancel = cancelSource();
  const probe = ask({ cancel });
  await clock.advance(1);
  cancel.abort(new Error('enough'));
  expect(await probe).toBe('Error: enough');
  await clock.advance(1);
  expect(gateOf('a').snapshot()).toMatchObject({ state: 'half-open', inflight: 0 });
  expect(await ask()).toBe('200 x');
  await vi.advanceTimersByTimeAsync(0);
  expect(gateOf('a').snapshot().state).toBe('closed');
});
