import { governedChannel } from 'keelson/grpc';
import { createChannel, createClient } from 'nice-grpc';
import { usersService } from '../../grpc-users.mjs';

/** @param {string} url @param {import('keelson').App | undefined} app */
export function niceGrpcCaller(url, app) {
  const channel = app
    ? governedChannel(app, 'users', { idempotent: ['Get'] })
    : createChannel(new URL(url).host);
  const users = createClient(usersService, channel);
  return async () => ((await users.Get({ id: '42' })).id === '42' ? 1 : 0);
}
