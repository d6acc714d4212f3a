/**
 * Koa 3: a governed server by one middleware. Nothing of Koa is loaded here.
 *
 * @module
 */
export type { AppListenerOptions } from '../stack/app-listener.js';
export { callOf } from './call-of.js';
export { governKoa } from './govern-koa.js';
export type { KoaContextShape, KoaMiddleware } from './koa-shape.js';
