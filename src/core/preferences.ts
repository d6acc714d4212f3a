import { callKey } from './values.js';

/** How long this one call may take, in milliseconds, instead of what its client's stack says. Wires set it, `deadline` reads it. */
export const timeoutPreference = callKey<number>('keelson.timeoutMs');

/** Whether copies of this one call may be sent, instead of what its client's stack says. Wires set it, `hedge` reads it. */
export const hedgePreference = callKey<boolean>('keelson.hedge');

/** Whether this one call may be tied, where its client's stack ties calls of its operation. Wires set it, `tied` reads it. */
export const tiedPreference = callKey<boolean>('keelson.tied');
