const everyMs = 2500;
const slowMs = 2000;
const speed = 0.1;
const count = 30;

/** One replica after the other becomes ten times slower for two seconds, and recovers at once. @type {import('../cell.mjs').Scenario} */
export const recovering = {
  id: 'recovering',
  title: 'one replica after the other ten times slower for 2 s',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: count }, () => ({})),
  availability: 1 - (slowMs * (1 - speed)) / (everyMs * count),
  live: ({ world, replicas }) => {
    let turn = 0;
    const fall = () => {
      const replica = replicas[(turn++ * 7) % count];
      if (replica === undefined) return;
      replica.drag(speed);
      world.after(slowMs, () => replica.drag(1));
      world.after(everyMs, fall);
    };
    world.after(everyMs, fall);
  },
};
