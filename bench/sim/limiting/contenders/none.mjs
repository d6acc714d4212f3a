/** No limiter: every call is handled as soon as it has been read. @type {import('../run.mjs').Contender} */
export const none = { id: 'none', name: 'none', make: () => ({ arrive: () => 'run' }) };
