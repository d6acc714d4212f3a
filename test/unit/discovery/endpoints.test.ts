import { endpointsOf, type ServiceInstance } from 'keelson/discovery';
import { describe, expect, it } from 'vitest';

const instance = (more: Partial<ServiceInstance>): ServiceInstance => ({
  id: 'i1',
  service: 'users',
  hostname: 'h1',
  addresses: [],
  version: '2',
  zone: 'sh001',
  env: 'prod',
  region: 'sh',
  weight: 10,
  status: 'up',
  metadata: { color: 'red' },
  ...more,
});

describe('endpointsOf', () => {
  it('makes one endpoint of each address, with all that the instance says', () => {
    expect(endpointsOf([instance({ addresses: ['http://10.0.0.7:8080', 'grpc://10.0.0.7:9000'] })])).toEqual([
      {
        id: 'i1@http://10.0.0.7:8080',
        url: 'http://10.0.0.7:8080',
        weight: 10,
        zone: 'sh001',
        version: '2',
        metadata: { color: 'red' },
      },
      {
        id: 'i1@grpc://10.0.0.7:9000',
        url: 'grpc://10.0.0.7:9000',
        weight: 10,
        zone: 'sh001',
        version: '2',
        metadata: { color: 'red' },
      },
    ]);
  });

  it('has no zone and no version where none is known', () => {
    const [endpoint] = endpointsOf([instance({ addresses: ['http://h:1'], zone: '', version: '' })]);
    expect(endpoint).toMatchObject({ zone: undefined, version: undefined });
  });

  it.each([
    ['http://10.0.0.7:8080', 'http://10.0.0.7:8080'],
    ['HTTP://Users.Internal:8080/', 'http://users.internal:8080'],
    ['http://users.internal', 'http://users.internal'],
    ['http://users.internal:80', 'http://users.internal'],
    ['https://users.internal:443', 'https://users.internal'],
    ['https://users.internal:80', 'https://users.internal:80'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
    ['grpc://[2001:DB8:0:0::1]:9000', 'grpc://[2001:db8::1]:9000'],
    ['grpc://users.internal:80', 'grpc://users.internal:80'],
    ['grpcs://users_internal:09000', 'grpcs://users_internal:9000'],
    ['http://10.0.0.7:8080?isSecure=false', 'http://10.0.0.7:8080'],
    ['http://10.0.0.7:8080?isSecure=true', 'https://10.0.0.7:8080'],
    ['grpc://10.0.0.7:9000?isSecure=true', 'grpcs://10.0.0.7:9000'],
  ])('%s becomes %s', (address, url) => {
    expect(endpointsOf([instance({ addresses: [address] })]).map((endpoint) => endpoint.url)).toEqual([url]);
  });

  it.each([
    ['', /not scheme/],
    ['10.0.0.7:8080', /not scheme/],
    ['localhost:8080', /not scheme/],
    ['http://', /cannot be read/],
    ['http://:8080', /cannot be read/],
    ['http://::1:8080', /cannot be read/],
    ['http://[::1:8080', /cannot be read/],
    ['http://10.0.0.999:80', /cannot be read/],
    ['http://h:65536', /cannot be read/],
    ['http://h:http', /cannot be read/],
    ['http://h:0', /port 0/],
    ['grpc://h', /no port/],
    ['http://0.0.0.0:80', /wildcard/],
    ['http://[::]:80', /wildcard/],
    ['http://user:secret@h:80', /credentials/],
    ['http://h:80/api', /not scheme/],
    ['http://h:80#x', /not scheme/],
    ['http://h\\evil:80', /not scheme/],
    ['http://h:8\n0', /not scheme/],
    ['http://a:1,http://b:2', /not scheme/],
  ])('%j is left out, with the reason, and the next is not', (address, reason) => {
    const skipped: string[] = [];
    const endpoints = endpointsOf([instance({ addresses: [address, 'http://good:1'] })], {
      onSkip: (text, why, { id }) => skipped.push(`${id} ${text} ${why}`),
    });
    expect(endpoints.map(({ url }) => url)).toEqual(['http://good:1']);
    expect(skipped).toHaveLength(1);
    expect(skipped[0]).toMatch(reason);
  });

  it('takes an instance without a weight for a usual one', () => {
    const nameless = instance({ addresses: ['http://h:1'], weight: undefined as never });
    expect(endpointsOf([nameless])).toMatchObject([{ url: 'http://h:1', weight: 100 }]);
  });

  it('takes only the schemes that are asked for, silently', () => {
    const skipped: string[] = [];
    const endpoints = endpointsOf([instance({ addresses: ['grpc://h:1', 'https://h:2', 'http://h:3'] })], {
      schemes: ['http', 'https'],
      onSkip: (text) => skipped.push(text),
    });
    expect(endpoints.map(({ url }) => url)).toEqual(['https://h:2', 'http://h:3']);
    expect(skipped).toEqual([]);
  });

  it('takes an address of one instance once, and that of two instances twice', () => {
    const addresses = ['http://h:1', 'HTTP://H:1/'];
    const endpoints = endpointsOf([instance({ addresses }), instance({ addresses, id: 'i2' })]);
    expect(endpoints.map(({ id }) => id)).toEqual(['i1@http://h:1', 'i2@http://h:1']);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    'an instance of weight %s takes no traffic',
    (weight) => {
      const reasons: string[] = [];
      const endpoints = endpointsOf([instance({ addresses: ['http://h:1'], weight })], {
        onSkip: (_, reason) => reasons.push(reason),
      });
      expect(endpoints).toEqual([]);
      expect(reasons).toEqual([`has weight ${weight}`]);
    },
  );
});
