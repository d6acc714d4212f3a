import http from 'node:http';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { peerContext, serverInterceptor } from 'keelson/connect';
import { usersRoutes as routes } from '../connect-users.mjs';
import { unshed } from './unshed.mjs';

/** @param {import('keelson').App | undefined} app */
export function connectServer(app) {
  const governed = app && { interceptors: [serverInterceptor(app, unshed())], contextValues: peerContext };
  return http.createServer(connectNodeAdapter({ routes, ...governed }));
}
