/**
 * @param {number} clients @param {number} replicas @param {number} [seconds] @param {number} [warmUpMs]
 * @returns {import('../cell.mjs').Scenario}
 */
const sized = (clients, replicas, seconds, warmUpMs) => ({
  id: `${clients}x${replicas}`,
  title: `${clients} clients, ${replicas} equal replicas`,
  loads: [0.7, 0.9],
  chosenOn: false,
  clients,
  replicas: () => Array.from({ length: replicas }, () => ({})),
  seconds,
  warmUpMs,
});

/** Gateways, large services and very large ones. */
export const gateways = sized(3, 30);
export const large = sized(30, 200, 1, 1500);
export const veryLarge = { ...sized(30, 1000, 0.25, 700), loads: [0.9] };
