import { memory, type Resolution, type ServiceInstance, staticEndpoints } from 'keelson/discovery';
import { describe, expect, it } from 'vitest';

const instance = (id: string, more: Partial<ServiceInstance> = {}): ServiceInstance => ({
  id,
  service: 'users',
  hostname: id,
  addresses: [`http://${id}:80`],
  version: '',
  zone: '',
  env: '',
  region: '',
  weight: 100,
  status: 'up',
  metadata: {},
  ...more,
});
const ids = (resolution: Resolution | undefined) => resolution?.instances.map(({ id }) => id);

describe('staticEndpoints', () => {
  it('pushes at once what it was given', () => {
    const resolver = staticEndpoints({
      users: [
        'http://localhost:3001/',
        { url: 'grpc://[::1]:9000', weight: 5, zone: 'z', version: 'v', metadata: { a: 'b' } },
      ],
    });
    const pushed: Resolution[] = [];
    resolver.watch('users', (resolution) => pushed.push(resolution)).close();
    expect(pushed).toHaveLength(1);
    expect(pushed[0]).toMatchObject({
      stale: false,
      instances: [
        {
          id: 'http://localhost:3001',
          addresses: ['http://localhost:3001'],
          weight: 100,
          hostname: 'localhost',
        },
        { id: 'grpc://[::1]:9000', weight: 5, zone: 'z', version: 'v', metadata: { a: 'b' } },
      ],
    });
  });

  it('says of a service it does not know that there is nobody', () => {
    const pushed: Resolution[] = [];
    staticEndpoints({}).watch('constructor', (resolution) => pushed.push(resolution));
    expect(pushed).toEqual([
      { instances: [], stale: false, reason: 'no addresses were given for constructor' },
    ]);
  });

  it.each([
    ['users', 'http://localhost:3001', TypeError],
    ['users', ['localhost:3001'], TypeError],
    ['users', ['http://localhost:3001/api'], TypeError],
    ['users', [{ url: 7 }], TypeError],
    ['users', [{ url: 'http://h:1', weight: 0 }], RangeError],
    ['users', [{ url: 'http://h:1', weight: '5' }], TypeError],
  ])('refuses %s: %j at construction', (service, given, error) => {
    expect(() => staticEndpoints({ [service]: given } as never)).toThrow(error);
  });
});

describe('memory', () => {
  it('pushes every change before the call returns', async () => {
    const registry = memory();
    const pushed: Resolution[] = [];
    const watch = registry.watch('users', (resolution) => pushed.push(resolution));
    expect(pushed.map(ids)).toEqual([[]]);
    const registering = registry.register(instance('a'));
    expect(pushed.map(ids)).toEqual([[], ['a']]);
    const registration = await registering;
    expect(registration.registered).toBe(true);
    await registry.register(instance('b'));
    await registry.register(instance('waiting', { status: 'waiting' }));
    await registry.register(instance('other', { service: 'orders' }));
    expect(ids(pushed.at(-1))).toEqual(['a', 'b']);
    await Promise.all([registration.deregister(), registration.deregister()]);
    expect(registration.registered).toBe(false);
    expect(ids(pushed.at(-1))).toEqual(['b']);
    const count = pushed.length;
    watch.close();
    watch.close();
    await registry.register(instance('c'));
    expect(pushed).toHaveLength(count);
  });

  it('does not let an old registration take out its successor', async () => {
    const registry = memory();
    const given = instance('a');
    const old = await registry.register(given);
    await registry.register(given);
    await old.deregister();
    const pushed: Resolution[] = [];
    registry.watch('users', (resolution) => pushed.push(resolution));
    expect(ids(pushed[0])).toEqual(['a']);
  });

  it('goes on serving others when one of them closes it', async () => {
    const registry = memory();
    await registry.register(instance('a'));
    await registry.close();
    const pushed: Resolution[] = [];
    registry.watch('users', (resolution) => pushed.push(resolution));
    expect(ids(pushed[0])).toEqual(['a']);
  });

  it('tells everybody the newest last, also when a listener registers and another throws', async () => {
    const registry = memory();
    let once = false;
    registry.watch('users', ({ instances }) => {
      if (instances.length === 1 && !once) {
        once = true;
        void registry.register(instance('b'));
      }
      if (instances.length === 1) throw new Error('listener');
    });
    const later: string[][] = [];
    registry.watch('users', (resolution) => later.push(ids(resolution) ?? []));
    await registry.register(instance('a'));
    expect(later).toEqual([[], ['a', 'b']]);
  });

  it('tells nothing more to a listener that another one closed meanwhile', async () => {
    const registry = memory();
    const later: number[] = [];
    const holder: { close?: () => void } = {};
    registry.watch('users', ({ instances }) => {
      if (instances.length === 1) holder.close?.();
    });
    holder.close = registry.watch('users', ({ instances }) => later.push(instances.length)).close;
    await registry.register(instance('a'));
    expect(later).toEqual([0]);
  });
});
