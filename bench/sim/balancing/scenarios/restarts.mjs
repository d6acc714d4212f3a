const everyMs = 3000;
const firstMs = 1200;
const downMs = 1000;
const lagMs = 300;
const coldMs = 800;
const cold = 0.2;
const count = 30;

/** One replica after the other crashes and comes back with code that is not compiled yet. @type {import('../cell.mjs').Scenario} */
export const restarts = {
  id: 'E',
  title: 'rolling crash and restart, known to clients 0.3 s later, first 0.8 s at speed 0.2',
  loads: [0.7, 0.9],
  chosenOn: true,
  replicas: () => Array.from({ length: count }, () => ({})),
  availability: 1 - (downMs + lagMs + coldMs * (1 - cold)) / (everyMs * count),
  live: ({ world, replicas, list, delist, untilMs }) => {
    let turn = 0;
    const crash = () => {
      const replica = replicas[turn++ % count];
      if (replica === undefined) return;
      replica.crash();
      world.after(lagMs, () => delist(replica));
      world.after(downMs, () => {
        replica.restart();
        replica.warm(cold);
        world.after(lagMs, () => list(replica));
        world.after(lagMs + coldMs, () => replica.warm(1));
      });
      if (world.now + everyMs < untilMs) world.after(everyMs, crash);
    };
    world.after(firstMs, crash);
  },
};
