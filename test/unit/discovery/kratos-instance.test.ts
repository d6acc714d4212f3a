import fc from 'fast-check';
import type { ServiceInstance } from 'keelson/discovery';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { kratosJson, readKratosJson } from '../../../src/discovery/kratos-instance.js';

const full: ServiceInstance = {
  id: 'a1',
  service: 'users',
  hostname: 'host-1',
  addresses: ['http://10.0.0.1:8000', 'grpc://10.0.0.1:9000'],
  version: 'v1',
  zone: 'sh001',
  env: 'prod',
  region: 'sh',
  weight: 10,
  status: 'waiting',
  metadata: { color: 'red' },
};
const read = (text: string, id?: string) => readKratosJson(text, { service: 'users', id });
const made = (more: object): string =>
  JSON.stringify({
    id: 'a1',
    name: 'users',
    version: '',
    metadata: {},
    endpoints: ['http://10.0.0.1:80'],
    ...more,
  });

describe('an instance in the JSON of kratos', () => {
  it('has its names, in its order', () => {
    expect(kratosJson(full)).toBe(
      '{"id":"a1","name":"users","version":"v1","metadata":{"color":"red","weight":"10","zone":"sh001","env":"prod",' +
        '"region":"sh","hostname":"host-1","status":"waiting"},"endpoints":["http://10.0.0.1:8000","grpc://10.0.0.1:9000"]}',
    );
  });

  it('leaves out what is not known', () => {
    const bare = {
      ...full,
      zone: '',
      env: '',
      region: '',
      hostname: '',
      status: 'up',
      metadata: {},
    } as const;
    expect(JSON.parse(kratosJson(bare)).metadata).toEqual({ weight: '10' });
  });

  it('is read as kratos writes it', () => {
    expect(read(made({ metadata: null }))).toEqual({
      id: 'a1',
      service: 'users',
      hostname: '',
      addresses: ['http://10.0.0.1:80'],
      version: '',
      zone: '',
      env: '',
      region: '',
      weight: 100,
      status: 'up',
      metadata: {},
    });
  });

  it.each([
    ['', 'is not JSON'],
    ['{', 'is not JSON'],
    ['null', 'is not an object'],
    ['[]', 'is not an object'],
    ['"x"', 'is not an object'],
    ['['.repeat(60_000), 'is not JSON'],
    ['x'.repeat(65_537), 'is longer than 65536 characters'],
    [made({ id: '' }), 'has no id'],
    [made({ id: 7 }), 'has no id'],
    [made({ id: 'b' }), 'bears the id of another'],
    [made({ name: 'user' }), 'belongs to user'],
    [made({ name: {} }), 'belongs to nobody'],
    [made({ endpoints: null }), 'has no endpoints'],
    [made({ endpoints: {} }), 'has no endpoints'],
    [made({ endpoints: [] }), 'has no address'],
    [made({ endpoints: [1, null, ''] }), 'has no address'],
    [
      made({ endpoints: Array.from({ length: 65 }, (_, at) => `http://h:${at + 1}`) }),
      'has more than 64 addresses',
    ],
    [
      made({ metadata: Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`k${at}`, ''])) }),
      'has more than 256 labels',
    ],
  ])('%.40s: %s', (text, reason) => {
    expect(read(text, 'a1')).toBe(reason);
  });

  it.each([
    ['10', 10],
    ['0', 0],
    ['0.5', 0.5],
    ['', 100],
    ['-1', 100],
    ['NaN', 100],
    ['Infinity', 100],
    ['many', 100],
  ])('weight %s counts as %d', (weight, expected) => {
    expect(read(made({ metadata: { weight } }))).toMatchObject({ weight: expected, metadata: {} });
  });

  it('leaves a status that is none of ours a label', () => {
    expect(read(made({ metadata: { status: 'active' } }))).toMatchObject({
      status: 'up',
      metadata: { status: 'active' },
    });
  });

  it('takes texts for labels only, and pollutes nothing', () => {
    const text = made({}).replace(
      '{}',
      '{"__proto__":{"polluted":"1"},"constructor":"c","n":1,"l":["x"],"ok":"y"}',
    );
    const instance = read(text) as ServiceInstance;
    expect(Object.getPrototypeOf(instance.metadata)).toBe(null);
    expect({ ...instance.metadata }).toEqual({ constructor: 'c', ok: 'y' });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    const named = read(made({}).replace('{}', '{"__proto__":"text"}')) as ServiceInstance;
    expect(Object.getPrototypeOf(named.metadata)).toBe(null);
  });

  it('reads back what it wrote', () => {
    const word = fc.string({ maxLength: 20 });
    const reserved = new Set(['weight', 'zone', 'env', 'region', 'hostname', 'status', '__proto__']);
    const label = word.filter((name) => !reserved.has(name));
    const any = fc.record({
      id: fc.string({ minLength: 1, maxLength: 20 }),
      service: fc.constant('users'),
      hostname: word,
      addresses: fc.array(fc.webUrl(), { minLength: 1, maxLength: 5 }),
      version: word,
      zone: word,
      env: word,
      region: word,
      weight: fc.integer({ min: 0, max: 1_000_000 }),
      status: fc.constantFrom('up' as const, 'waiting' as const),
      metadata: fc.dictionary(label, word),
    });
    fc.assert(
      fc.property(any, (instance) => {
        expect(read(kratosJson(instance), instance.id)).toEqual({
          ...instance,
          metadata: { ...instance.metadata },
        });
      }),
    );
  });

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((text) => `{"id":"a","name":"users","endpoints":${text}}`),
        ),
        (text) => {
          expect(['string', 'object']).toContain(typeof read(text));
        },
      ),
    );
  });
});
