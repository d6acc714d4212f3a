// Work of a known size: the same instructions whatever else the machine does.

/** @param {number} rounds @returns {number} something that depends on all of it */
export function spin(rounds) {
  let state = rounds | 1;
  for (let round = 0; round < rounds; round++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  return state;
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** How many rounds take a millisecond of CPU here. The best of several tries: a neighbour only makes it slower. */
export function roundsPerMs() {
  const rounds = 2_000_000;
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 30; attempt++) {
    const start = cpuMs();
    spin(rounds);
    best = Math.min(best, cpuMs() - start);
  }
  return rounds / best;
}
