/**
 * Express 4 and 5: a governed server by one middleware. Nothing of Express is loaded here.
 *
 * @module
 */
export type { AppListenerOptions } from '../stack/app-listener.js';
export { callOf } from './call-of.js';
export { type ExpressErrorMiddleware, governErrors } from './govern-errors.js';
export { type ExpressMiddleware, governExpress } from './govern-express.js';
