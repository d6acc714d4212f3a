import { callKey } from './values.js';

/** What a server's handler threw, for middlewares outside of whoever turns it into a response: they see a response only. */
export const handlerError = callKey<unknown>('keelson.handlerError');
