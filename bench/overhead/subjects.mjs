import { balancers } from './balancers.mjs';
import { baselines } from './baselines.mjs';
import { clientStacks } from './client-stack.mjs';
import { fetches } from './fetch.mjs';
import { gateCases } from './gates.mjs';
import { peers } from './peers.mjs';
import { serverStacks } from './server-stack.mjs';

/** All that is measured side by side. @returns {Promise<import('../harness.mjs').Subject[]>} */
export async function subjects() {
  return [baselines(), peers(), await gateCases(), balancers(), clientStacks(), fetches(), serverStacks()];
}
