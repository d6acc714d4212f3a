const zone = (/** @type {number} */ index) => (index % 3 === 0 ? 'far' : 'near');

/** Two thirds of everything in one zone, one third in another, and a millisecond between them. @type {import('../cell.mjs').Scenario} */
export const zones = {
  id: 'zones',
  title: 'two zones, 1 ms apart each way',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: 30 }, (_, index) => ({ zone: zone(index) })),
  zone,
  crossingMs: 1,
};
