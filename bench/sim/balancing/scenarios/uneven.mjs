const speeds = [0.7, 1, 1.3];

/** Three kinds of machine, and one replica that is broken and slow. @type {import('../cell.mjs').Scenario} */
export const uneven = {
  id: 'B',
  title: 'speeds 0.7, 1 and 1.3, one ten times slower',
  loads: [0.5, 0.7, 0.9],
  chosenOn: true,
  replicas: () =>
    Array.from({ length: 30 }, (_, index) => ({ speed: index === 0 ? 0.1 : (speeds[index % 3] ?? 1) })),
};
