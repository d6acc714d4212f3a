import { exponential } from '../../engine/streams.mjs';

const cleanMs = 4000;
const draggedMs = 1000;
const speed = 0.3;
const calmMs = 1800;
const burstMs = 200;
const burst = 1.5;

/** Uniform, a fifth more or less. @param {() => number} random @param {number} ms */
const about = (random, ms) => ms * (0.8 + 0.4 * random());

/** Neighbours that take the CPU of a replica, and calls that come in bursts. @type {import('../cell.mjs').Scenario} */
export const antagonists = {
  id: 'D',
  title:
    'each replica at speed 0.3 for about 1 s of every 5 s, bursts of 1.5 times the calls for 200 ms every 2 s',
  loads: [0.5, 0.7, 0.9],
  chosenOn: true,
  replicas: () => Array.from({ length: 30 }, () => ({})),
  availability: (cleanMs + draggedMs * speed) / (cleanMs + draggedMs),
  meanRate: (calmMs + burstMs * burst) / (calmMs + burstMs),
  live: ({ world, replicas, draw, setRate }) => {
    for (const replica of replicas) {
      const random = draw(`antagonists/${replica.index}`);
      const clean = () => {
        replica.drag(1);
        world.after(about(random, cleanMs), drag);
      };
      const drag = () => {
        replica.drag(speed);
        world.after(about(random, draggedMs), clean);
      };
      world.after(random() * (cleanMs + draggedMs), drag);
    }
    const random = draw('bursts');
    const calm = () => {
      setRate(1);
      world.after(exponential(random, calmMs), () => {
        setRate(burst);
        world.after(burstMs, calm);
      });
    };
    calm();
  },
};
