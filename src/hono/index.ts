/**
 * Hono on `@hono/node-server`: a governed server by one middleware. Nothing of Hono is loaded here.
 *
 * @module
 */
export type { AppListenerOptions } from '../stack/app-listener.js';
export { callOf } from './call-of.js';
export { governHono } from './govern-hono.js';
export type { HonoContextShape, HonoMiddleware } from './hono-shape.js';
