import * as grpc from '@grpc/grpc-js';
import { governedClient } from 'keelson/grpc';
import { usersService } from '../../grpc-users.mjs';

const UsersClient = grpc.makeClientConstructor(usersService, 'Users');

/** @param {string} url @param {import('keelson').App | undefined} app */
export function grpcJsCaller(url, app) {
  /** @type {any} the constructor is made at run time */
  const users = app
    ? governedClient(app, UsersClient, { service: 'users', idempotent: ['Get'] })
    : new UsersClient(new URL(url).host, grpc.credentials.createInsecure());
  return () =>
    /** @type {Promise<number>} */ (
      new Promise((resolve, reject) => {
        users.Get({ id: '42' }, (/** @type {Error | null} */ error, /** @type {{ id: string }} */ user) => {
          if (error) reject(error);
          else resolve(user.id === '42' ? 1 : 0);
        });
      })
    );
}
