import { type AppOptions, createApp, memory } from 'keelson';
import { describe, expect, it } from 'vitest';

const make = (options: object) => () => createApp({ service: 'orders', ...options } as AppOptions);

describe('options of an app', () => {
  it.each([
    [{ service: undefined }, 'createApp.service must be a name'],
    [{ service: '' }, 'createApp.service must be a name'],
    [{ service: 'a b' }, 'createApp.service must be a name'],
    [{ service: '-a' }, 'createApp.service must be a name'],
    [{ service: 7 }, 'createApp.service must be a name'],
    [
      { regsitry: 'http://127.0.0.1:7171' },
      'createApp.regsitry is not an option: did you mean registry? There are registry, ',
    ],
    [{ weight: 0 }, 'createApp.weight must be a number > 0, got 0'],
    [{ weight: '100' }, 'createApp.weight must be a number > 0, got "100"'],
    [{ drainPauseMs: -1 }, 'createApp.drainPauseMs must be a number >= 0'],
    [{ closeTimeoutMs: Number.POSITIVE_INFINITY }, 'createApp.closeTimeoutMs must be a number >= 0'],
    [{ signals: 'no' }, 'createApp.signals must be a boolean'],
    [{ register: 0 }, 'createApp.register must be a boolean'],
    [{ random: 0.5 }, 'createApp.random must be a function'],
    [{ hooks: { beforestart: () => undefined } }, 'createApp.hooks.beforestart is not an option'],
    [{ hooks: { beforeStart: 'x' } }, 'createApp.hooks.beforeStart must be a function'],
    [{ client: { timeout: 1 } }, 'createApp.client.timeout is not an option'],
    [{ client: { timeoutMs: -1 } }, 'createApp.client.timeoutMs must be a number > 0'],
    [{ client: { limits: [1] } }, 'createApp.client.limits[0] must be a gate'],
    [{ metadata: { a: 1 } }, 'createApp.metadata.a must be a string'],
    [{ advertiseHost: '' }, 'createApp.advertiseHost must be a host name or IP address'],
    [{ advertiseHost: '*' }, 'createApp.advertiseHost'],
    [{ advertiseHost: '0.0.0.0' }, 'createApp.advertiseHost'],
    [{ advertiseHost: '::' }, 'createApp.advertiseHost'],
    [{ advertiseHost: '::ffff:0.0.0.0' }, 'createApp.advertiseHost'],
    [{ advertiseHost: 'http://a' }, 'createApp.advertiseHost'],
    [{ advertiseHost: 'a:80' }, 'createApp.advertiseHost'],
    [{ advertiseHost: 'a/b' }, 'createApp.advertiseHost'],
    [{ advertiseHost: 5 }, 'createApp.advertiseHost'],
    [{ registry: '' }, 'must be URLs'],
    [{ registry: 'localhost:7171' }, 'must be URLs'],
    [{ registry: [] }, 'at least one URL'],
    [{ registry: 7171 }, 'createApp.registry must be'],
    [{ registry: {} }, 'createApp.registry must be'],
    [{ registry: null }, 'createApp.registry must be'],
    [{ endpoints: { users: 'http://a' } }, 'staticEndpoints.users must be an array'],
    [{ endpoints: { users: ['http://a/path'] } }, 'staticEndpoints.users'],
  ])('%o: %s', (options, message) => {
    expect(make(options)).toThrow(message);
  });

  it.each([
    {},
    { service: 'Shop.v1_orders-2' },
    { registry: undefined, client: undefined, hooks: undefined, metadata: undefined, clock: undefined },
    { advertiseHost: 'users.internal' },
    { advertiseHost: 'my_host' },
    { advertiseHost: '10.0.0.7' },
    { advertiseHost: '2001:db8::1' },
    { advertiseHost: '[2001:db8::1]' },
    { registry: memory() },
    { drainPauseMs: 0, closeTimeoutMs: 0 },
  ])('%o is fine', (options) => {
    expect(make(options)).not.toThrow();
  });

  it('must be there', () => {
    expect(() => createApp(undefined as never)).toThrow(TypeError);
    expect(() => createApp('orders' as never)).toThrow(TypeError);
  });
});

describe('options of app.fetch', () => {
  const app = createApp({ service: 'orders', endpoints: { users: ['http://127.0.0.1:1'] } });

  it.each([
    [{ timeout: 5 }, 'app.fetch.timeout is not an option: did you mean timeoutMs? There are timeoutMs, '],
    [{ timeoutMs: Number.NaN }, 'timeoutMs must be a number'],
    [{ routes: ['nonsense'] }, 'nonsense'],
    [{ bodyIdleTimeoutMs: -1 }, 'app.fetch.bodyIdleTimeoutMs must be a number > 0'],
    [{ pool: { sockets: 1 } }, 'sockets is not an option'],
    [{ retry: { attempts: 11 } }, 'app.fetch.retry.attempts must be'],
  ])('%o: %s', (options, message) => {
    expect(() => app.fetch('users', options as never)).toThrow(message);
  });
});

describe('an app that does nothing', () => {
  it('is idle, and runs nothing', async () => {
    const before = process.getActiveResourcesInfo().length;
    const listeners = process.listenerCount('SIGTERM');
    const app = createApp({ service: 'orders', registry: 'http://127.0.0.1:1' });
    expect(app.state).toBe('idle');
    expect(process.getActiveResourcesInfo().length).toBe(before);
    expect(process.listenerCount('SIGTERM')).toBe(listeners);
    await app.stop();
    expect(app.state).toBe('stopped');
  });
});
