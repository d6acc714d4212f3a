/**
 * @typedef {object} PartOptions
 * @property {boolean} quick
 * @property {boolean} instructions
 * @property {(text: string) => void} tell how far it is
 */
/** @typedef {{ readonly text: string, readonly json: object }} PartResult `json` has one member, and no other part's has its name */
/** @typedef {(options: PartOptions) => Promise<PartResult>} Part */

/** In their order. Loaded when it is their turn: what one brings must not burden another. @type {Readonly<Record<string, () => Promise<Part>>>} */
export const parts = {
  overhead: async () => (await import('./overhead.mjs')).overhead,
  cost: async () => (await import('./cost.mjs')).cost,
  adapters: async () => (await import('./adapters.mjs')).adapters,
  'grpc-faults': async () => (await import('./grpc-faults.mjs')).grpcFaults,
  overload: async () => (await import('./overload.mjs')).overload,
};
