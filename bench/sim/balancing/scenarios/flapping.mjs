const everyMs = 400;
const awayMs = 600;
const each = 3;

/** A registry that forgets replicas which are well, a few at a time. @type {import('../cell.mjs').Scenario} */
export const flapping = {
  id: 'flapping',
  title: 'three replicas vanish from the list for 0.6 s every 0.4 s, all of them well',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: 30 }, () => ({})),
  // What is not in the list does nothing.
  availability: 1 - (each * awayMs) / everyMs / 30,
  live: ({ world, replicas, draw, list, delist }) => {
    const random = draw('flapping');
    const flap = () => {
      for (let i = 0; i < each; i++) {
        const replica = replicas[Math.floor(random() * replicas.length)];
        if (replica === undefined) continue;
        delist(replica);
        world.after(awayMs, () => list(replica));
      }
      world.after(everyMs, flap);
    };
    world.after(everyMs, flap);
  },
};
