/**
 * Fastify 5: a governed server by one plugin. Nothing of Fastify is loaded here.
 *
 * @module
 */
export type { AppListenerOptions } from '../stack/app-listener.js';
export { callOf } from './call-of.js';
export type {
  FastifyPlugin,
  FastifyReplyShape,
  FastifyRequestShape,
  FastifyShape,
} from './fastify-shape.js';
export { governFastify } from './govern-fastify.js';
