/** A fifth of the replicas is five times slower. @type {import('../cell.mjs').Scenario} */
export const severalSlow = {
  id: 'several-slow',
  title: 'six of thirty five times slower',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: 30 }, (_, index) => ({ speed: index % 5 === 0 ? 0.2 : 1 })),
};
