import { callKey } from './values.js';

/**
 * Whether the peer that sent an inbound call is believed: its deadline, its priority, its `x-md-global-*` metadata.
 * Server wires set it; without it nothing is believed.
 */
export const trustedPeer = callKey<boolean>('keelson.trustedPeer');
