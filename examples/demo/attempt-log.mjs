/** What was sent to each address and how it ended, for the demo's table. */
export function attemptLog() {
  const replicas = new Map();
  let since = performance.now();
  const replica = (address) => {
    let entry = replicas.get(address);
    if (!entry) {
      entry = { sent: 0, errors: 0, latencies: [], breaker: 'closed', ejected: false };
      replicas.set(address, entry);
    }
    return entry;
  };
  return {
    async watch(address, send) {
      const entry = replica(address);
      entry.sent++;
      const start = performance.now();
      try {
        const response = await send();
        if (response.status >= 500) entry.errors++;
        return response;
      } catch (error) {
        entry.errors++;
        throw error;
      } finally {
        entry.latencies.push(performance.now() - start);
      }
    },
    breaker(address, state) {
      replica(address).breaker = state;
    },
    ejected(address, out) {
      replica(address).ejected = out;
    },
    fresh(address) {
      Object.assign(replica(address), { breaker: 'closed', ejected: false });
    },
    reset() {
      for (const entry of replicas.values()) Object.assign(entry, { sent: 0, errors: 0, latencies: [] });
      since = performance.now();
    },
    snapshot() {
      const seconds = (performance.now() - since) / 1000;
      const total = [...replicas.values()].reduce((sum, entry) => sum + entry.sent, 0);
      return [...replicas].map(([address, { latencies, ...entry }]) => {
        const sorted = [...latencies].sort((a, b) => a - b);
        return {
          address,
          ...entry,
          share: total === 0 ? 0 : entry.sent / total,
          perSecond: entry.sent / seconds,
          p50: quantile(sorted, 0.5),
          p99: quantile(sorted, 0.99),
        };
      });
    },
  };
}

/** The smallest value that at least a share q of the sorted values does not exceed. */
export function quantile(sorted, q) {
  return sorted.length === 0
    ? Number.NaN
    : sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
}
