import module from 'node:module';
import { afterEach, describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { grpcServersTraced } from '../../../src/register/grpc-classes.js';

type Loaded = Record<string, { readonly exports: unknown }>;
const node = module as unknown as { _cache: Loaded };
const loaded = node._cache;
afterEach(() => {
  node._cache = loaded;
});

describe('whether an instrumentation makes the spans of servers of grpc-js', () => {
  it('is looked for once a second at most, while there is no grpc-js', () => {
    let looks = 0;
    const modules: Loaded = {};
    node._cache = new Proxy(modules, {
      ownKeys: (of) => {
        looks++;
        return Reflect.ownKeys(of);
      },
    });
    for (let now = 0; now < 3_000; now += 10) expect(grpcServersTraced(now)).toBe(false);
    expect(looks).toBe(3);
    // A clock that was set back is asked anew, and not trusted for long.
    expect(grpcServersTraced(-5_000)).toBe(false);
    expect(looks).toBe(4);

    class Server {
      register(): void {
        // Of grpc-js.
      }
    }
    modules['/node_modules/@grpc/grpc-js/build/src/server.js'] = { exports: { Server } };
    expect(grpcServersTraced(-4_500)).toBe(false);
    expect(grpcServersTraced(-4_000)).toBe(false);
    expect(looks).toBe(5);
    Object.assign(Server.prototype.register, { __wrapped: true });
    // From then on it is only asked, at each call.
    expect(grpcServersTraced(-4_000)).toBe(true);
    Object.assign(Server.prototype.register, { __wrapped: false });
    expect(grpcServersTraced(-3_999)).toBe(false);
    expect(looks).toBe(5);
  });
});
