import { discovery, type RegistryTransport, type ServiceInstance } from 'keelson/discovery';
import { createRegistry, type RegistryServer } from 'keelson/registry';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const clients = 1_000;
const second = 1_000;

const instance = (n: number): ServiceInstance => ({
  ...{ id: `i${n}`, service: `s${n % 50}`, hostname: `h${n}`, addresses: [`http://10.0.0.1:${n + 1}`] },
  ...{ version: '1', zone: 'z', env: 'e', region: 'r', weight: 1, status: 'up', metadata: {} },
});

describe('a registry that comes back empty', () => {
  it('hears from a thousand clients again within their backoff, spread over it', async () => {
    const clock = manualClock();
    const random = seededRandom(11);
    let up: RegistryServer | undefined;
    /** Requests by the second in which they came. */
    const came = new Map<number, number>();
    const transport: RegistryTransport = {
      send: async ({ url, method, body }) => {
        const at = Math.floor(clock.now() / second);
        came.set(at, (came.get(at) ?? 0) + 1);
        await Promise.resolve();
        if (up === undefined) throw new Error('connect ECONNREFUSED');
        const { pathname, searchParams } = new URL(url);
        return await up.ask(method, pathname, body === undefined ? searchParams : new URLSearchParams(body));
      },
      close: () => undefined,
    };
    const begin = async () => {
      const registry = createRegistry({ listen: '127.0.0.1:0', clock });
      await registry.listen();
      up = registry;
      return registry;
    };
    const first = await begin();
    const all = Array.from({ length: clients }, () =>
      discovery({ nodes: ['http://10.0.0.9:7171'], clock, random, transport, zone: 'z', env: 'e' }),
    );
    await Promise.all(all.map((one, n) => one.register(instance(n))));
    await clock.advance(60 * second);
    expect(first.stats().instances).toBe(clients);

    up = undefined;
    await Promise.all([first.close(), clock.advance(60 * second)]);
    came.clear();
    const again = await begin();
    await clock.advance(16 * second);
    // Each waits between 0.1 and 15.1 s, drawn anew each time.
    expect(again.stats().instances).toBe(clients);
    // While it is away each asks once in 7.6 s on average: 132 a second. Now each is told to register, and does, which
    // makes two requests of one: 264 expected in the first second, five standard deviations more are 2 × 5 × √132 = 115.
    for (const requests of came.values()) expect(requests).toBeLessThan(380);
    await Promise.all([...all.map((one) => one.close()), again.close(), clock.advance(30 * second)]);
  });
});
