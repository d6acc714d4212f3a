const everyMs = 4000;
const stepMs = 250;
const extra = 10;
const coldMs = 800;
const cold = 0.2;
const count = 30;

/**
 * Ten of thirty replicas come one by one, and go one by one: of the list first, and they finish what they have. The calls
 * follow.
 *
 * @type {import('../cell.mjs').Scenario}
 */
export const autoscaling = {
  id: 'autoscaling',
  title: 'between 20 and 30 replicas, newcomers cold',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: count }, () => ({})),
  live: ({ world, replicas, list, delist, setRate }) => {
    let away = 0;
    const pace = () => setRate(1 - away / count);
    const leave = (/** @type {number} */ left) => {
      const replica = replicas[left - 1];
      if (replica === undefined) {
        world.after(everyMs, () => join(extra));
        return;
      }
      delist(replica);
      away++;
      pace();
      world.after(stepMs, () => leave(left - 1));
    };
    const join = (/** @type {number} */ left) => {
      const replica = replicas[left - 1];
      if (replica === undefined) {
        world.after(everyMs, () => leave(extra));
        return;
      }
      replica.restart();
      replica.warm(cold);
      list(replica);
      // The calls come back when it is warm.
      world.after(coldMs, () => {
        replica.warm(1);
        away--;
        pace();
      });
      world.after(stepMs, () => join(left - 1));
    };
    world.after(everyMs, () => leave(extra));
  },
};
