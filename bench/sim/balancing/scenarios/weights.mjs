const speeds = [0.5, 1, 2];

/** Machines of three sizes, registered with weights that say so. @type {import('../cell.mjs').Scenario} */
export const weights = {
  id: 'weights',
  title: 'speeds 0.5, 1 and 2 with weights 50, 100 and 200',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () =>
    Array.from({ length: 30 }, (_, index) => {
      const speed = speeds[index % 3] ?? 1;
      return { speed, weight: 100 * speed };
    }),
};
