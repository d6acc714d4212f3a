/** @typedef {import('../harness.mjs').Subject} Subject */

/** All that is measured side by side; a process that counts one case loads no more than it has to. @type {Readonly<Record<string, () => Promise<Subject>>>} */
export const subjects = {
  baselines: async () => (await import('./baselines.mjs')).baselines(),
  peers: async () => (await import('./peers.mjs')).peers(),
  gates: async () => (await import('./gates.mjs')).gateCases(),
  balancers: async () => (await import('./balancers.mjs')).balancers(),
  chain: async () => (await import('./chain.mjs')).chains(),
  queue: async () => (await import('./queue.mjs')).queues(),
  client: async () => (await import('./client-stack.mjs')).clientStacks(),
  fetch: async () => (await import('./fetch.mjs')).fetches(),
  edges: async () => (await import('./edges.mjs')).countedEdges(),
  server: async () => (await import('./server-stack.mjs')).serverStacks(),
};

/** @returns {Promise<(Subject & { readonly key: string })[]>} each with its name in {@link subjects} */
export async function allSubjects() {
  /** @type {(Subject & { key: string })[]} */
  const all = [];
  for (const [key, load] of Object.entries(subjects)) all.push({ key, ...(await load()) });
  return all;
}
