import { type App, type AppOptions, createApp, memory } from 'keelson';
import {
  balance,
  c3,
  leastLoad,
  nearZone,
  outlierEjection,
  p2c,
  peakEwma,
  roundRobin,
  subset,
} from 'keelson/balancer';
import { evidence, sre } from 'keelson/breaker';
import { allOf, attempt, compose, type FaultEvent, keyed } from 'keelson/core';
import { bbr, concurrency } from 'keelson/limiter';
import { backlogSignal, loadSignal } from 'keelson/limiter/load';
import { afterEach, describe, expect, it } from 'vitest';

const apps: App[] = [];
afterEach(() => Promise.all(apps.splice(0).map((app) => app.stop())));

function appOf(options: Partial<AppOptions> = {}) {
  const app = createApp({ service: 'orders', endpoints: { users: ['http://127.0.0.1:9'] }, ...options });
  apps.push(app);
  const faults: FaultEvent[] = [];
  app.events.on('fault', (fault) => faults.push(fault));
  return { app, faults };
}

const hint = (name: string) => `got the function ${name}; call it: ${name}()`;

describe('a factory that was not called is told by name when something is made', () => {
  it.each<[string, () => unknown, string]>([
    ['bbr.load', () => bbr({ load: loadSignal as never }), hint('loadSignal')],
    ['bbr.load', () => bbr({ load: backlogSignal as never }), hint('backlogSignal')],
    ['allOf[1]', () => allOf([sre(), concurrency as never]), hint('concurrency')],
    ['allOf[0]', () => allOf([sre as never, concurrency as never]), hint('sre')],
    ['keyed: the first argument', () => keyed(sre() as never), 'such as () => sre(), got an object'],
    ['createApp.registry', () => appOf({ registry: memory as never }), hint('memory')],
    ['app.fetch.filters[0]', () => filtering(nearZone), hint('nearZone')],
    ['app.fetch.filters[0]', () => filtering(subset), hint('subset')],
    ['balance.resolver', () => balance({} as never), 'such as staticEndpoints() makes, got undefined'],
    ['app.fetch.use[0]', () => appOf().app.fetch('users', { use: [1 as never] }), 'got 1'],
    ['compose', () => compose([() => undefined as never], () => Promise.resolve()), 'must be a handler'],
  ])('%s', (field, make, message) => {
    const said = saidBy(make);
    expect(said).toContain(message);
    if (field !== 'compose') expect(said.startsWith(`${field} must be `)).toBe(true);
  });

  it.each([undefined, null, 1])('and balance(%o) that there are no options', (options) => {
    expect(() => balance(options as never)).toThrow('balance: options must be an object');
  });

  it('which leaves functions alone that cannot be asked yet', () => {
    const load = () => {
      throw new TypeError('load is not known');
    };
    expect(() => bbr({ load })).not.toThrow();
    expect(() => bbr({ load: () => Number.NaN })).not.toThrow();
  });
});

function filtering(filter: unknown): unknown {
  return appOf().app.fetch('users', { filters: [filter as never] });
}

function saidBy(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as Error).message;
  }
  return 'nothing was thrown';
}

describe('where it shows only at the first call', () => {
  it('keyed names what its function returned', async () => {
    const gate = keyed(() => sre as never);
    await expect(attempt(gate, () => 1)).rejects.toThrow(
      `keyed: what its function returns must be a gate, such as sre() makes, ${hint('sre')}`,
    );
  });

  it('attempt knows its options', async () => {
    const run = () => 1;
    await expect(attempt(sre(), run, { clasify: () => 'success' } as never)).rejects.toThrow(
      'attempt.clasify is not an option: did you mean classify?',
    );
    await expect(attempt(sre(), run, { key: 'a', cost: 1 })).resolves.toBe(1);
    await expect(attempt(evidence(), run, undefined)).resolves.toBe(1);
  });

  it('no list is options', () => {
    expect(() => evidence([] as never)).toThrow('evidence: options must be an object, got an array');
  });
});

describe('where it shows only at the first endpoint', () => {
  it.each([
    ['p2c.meter', () => p2c({ meter: peakEwma as never }), 'peakEwma'],
    ['leastLoad.meter', () => leastLoad({ meter: c3 as never }), 'c3'],
  ])('%s is the cause of each call, and a fault', async (field, make, name) => {
    const { app, faults } = appOf();
    const error = await app
      .fetch('users', { balancer: outlierEjection(make()) })('/x')
      .catch((thrown: unknown) => thrown);
    const message = `${field} must be a function that makes the meter of an endpoint, such as peakEwma() makes, ${hint(name)}`;
    expect(error).toMatchObject({ code: 'NO_ENDPOINT', cause: { name: 'TypeError', message } });
    expect((error as Error).message).toBe(`users: no endpoint, none may be picked: ${message}`);
    expect(faults).toMatchObject([{ where: 'endpoints of users', error: { message } }]);
  });

  it.each<[string, unknown, string]>([
    ['a list of one', () => [evidence], `gates[0] must be a gate, such as sre() makes, ${hint('evidence')}`],
    ['the factory', evidence, 'got the factory evidence; give it as () => [evidence()]'],
    ['no list', () => sre(), 'gates: what it returns must be an array of gates, got an object'],
  ])('gates: %s', async (_, gates, message) => {
    const { app, faults } = appOf();
    await expect(app.fetch('users', { gates: gates as never, retry: false })('/x')).rejects.toThrow(message);
    expect(faults).toMatchObject([{ error: { message: expect.stringContaining(message) } }]);
  });

  it('endpoints without an id are told', () => {
    const make = () => roundRobin().update([{ url: 'http://a' } as never], 0);
    expect(make).toThrow('balancer.update: endpoints[0].id must be a name, got undefined');
    expect(() => roundRobin().update({} as never, 0)).toThrow('endpoints must be an array, got an object');
  });
});

describe('a middleware', () => {
  it.each(['use', 'useAttempt'] as const)('in %s that answers nothing is told', async (place) => {
    const forgets = () => () => undefined as never;
    const { app } = appOf();
    await expect(app.fetch('users', { [place]: [forgets], retry: false })('/x')).rejects.toThrow(
      'a middleware answered undefined in place of a response',
    );
  });
});
