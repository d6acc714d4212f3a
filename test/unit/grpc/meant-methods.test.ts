import { createApp } from 'keelson';
import { type GovernedChannelOptions, governedChannel } from 'keelson/grpc';
import { afterAll, describe, expect, it } from 'vitest';

const app = createApp({ service: 'orders', endpoints: { users: ['grpc://127.0.0.1:9'] } });
afterAll(() => app.stop());

const unary = { requestStream: false, responseStream: false };
const services = [
  {
    GetUser: { path: '/users.Users/GetUser', ...unary },
    ListUsers: { path: '/users.Users/ListUsers', ...unary },
  },
];
const channel = (options: GovernedChannelOptions) => () => governedChannel(app, 'users', options).close();

describe('methods that are named in options, where the service is known', () => {
  it.each<[readonly string[]]>([
    [['GetUser']],
    [['/users.Users/GetUser', 'ListUsers']],
    // Of a service that nobody described.
    [['/other.Others/GetUsr']],
    [[]],
  ])('idempotent: %o', (idempotent) => {
    expect(channel({ services, idempotent })).not.toThrow();
  });

  it.each([
    [['GetUsr'], 'GetUsr is not a method: did you mean GetUser? There are GetUser, ListUsers'],
    [['GetUser', 'Delete'], 'Delete is not a method; there are GetUser, ListUsers'],
    [['/users.Users/getUser'], '/users.Users/getUser is not a method: did you mean GetUser? There are '],
  ])('idempotent: %o is a slip', (idempotent, message) => {
    expect(channel({ services, idempotent })).toThrow(`governedChannel.idempotent: ${message}`);
    expect(channel({ idempotent })).not.toThrow();
  });

  it.each(['/users.Users/GetUser', '/users.Users/*', '*', /.*Get.*/, () => true, '/other.Others/Get'])(
    'tied.routes: %s',
    (routes) => {
      expect(channel({ services, tied: { routes: routes as string } })).not.toThrow();
    },
  );

  it.each(['GetUser', /GetUser/, ['*', '/users.Users/GetUsr']])('tied.routes: %s fits none', (routes) => {
    expect(channel({ services, tied: { routes: routes as string } })).toThrow(
      /^governedChannel\.tied\.routes: .* fits no method; their names are \/users\.Users\/GetUser, /,
    );
    expect(channel({ tied: { routes: routes as string } })).not.toThrow();
  });
});
