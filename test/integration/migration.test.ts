import http from 'node:http';
import { createApp } from 'keelson';
import { fallback, memory, merge, type Registry } from 'keelson/discovery';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../doubles/http-double.js';

// A team moves from one registry to another, one process after the other, and no call fails: first everybody registers in
// both and looks in the old one, then everybody looks in both, then in the new one first, then the old one goes.

const quiet = { signals: false, drainPauseMs: 50 } as const;
const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** A process of the service, as far as it can be told from outside. */
async function users(registry: Registry, name: string): Promise<() => Promise<void>> {
  const app = createApp({ service: 'users', registry, ...quiet });
  const server = http.createServer(app.listener((_, res) => void res.end(name)));
  await app.serve(server, { port: 0, host: '127.0.0.1' });
  const stop = () => app.stop();
  ending.push(stop);
  return stop;
}
/** Somebody who calls the service all the time. */
function caller(registry: Registry, failures: unknown[]) {
  const app = createApp({ service: 'orders', registry, ...quiet });
  const call = app.fetch('users');
  const seen = new Set<string>();
  let over = false;
  const calling = (async () => {
    while (!over) {
      try {
        const response = await call('/');
        seen.add(await response.text());
      } catch (error) {
        failures.push(error);
      }
    }
  })();
  return {
    seen,
    end: async () => {
      over = true;
      await calling;
      await app.stop();
    },
  };
}

describe('moving from one registry to another', () => {
  it('fails no call', async () => {
    const [old, next] = [memory(), memory()];
    const steps: readonly (() => Registry)[] = [
      () => old,
      () => merge([old], { registerIn: [old, next] }),
      () => merge([old, next]),
      () => fallback([next, old]),
      () => next,
    ];
    let stop = await users(old, 'step 0');
    const failures: unknown[] = [];
    for (let step = 1; step < steps.length; step++) {
      // Callers of the step before and of this one are there while the service itself makes the step.
      const callers = [step - 1, step].map((at) => caller(steps[at]?.() as Registry, failures));
      await until(() => callers.every(({ seen }) => seen.has(`step ${step - 1}`)));
      const before = stop;
      stop = await users(steps[step]?.() as Registry, `step ${step}`);
      await before();
      await until(() => callers.every(({ seen }) => seen.has(`step ${step}`)));
      for (const { end } of callers) await end();
    }
    expect(failures).toEqual([]);
  });

  it('does not need both registries to start', async () => {
    const working = memory();
    const broken: Registry = {
      ...memory(),
      register: () => Promise.reject(new Error('no rights')),
      watch: () => ({ close: () => undefined }),
    };
    await users(merge([broken, working]), 'here');
    const app = createApp({
      service: 'orders',
      registry: merge([broken, working], { waitMs: 100 }),
      ...quiet,
    });
    ending.push(() => app.stop());
    expect(await (await app.fetch('users')('/')).text()).toBe('here');
  });
});
