/** @typedef {import('./contest.mjs').Figures} Figures */
/** @typedef {import('../goals.mjs').Verdict} Verdict */

/** Those that the goal is about; the others are measured beside them. */
const judged = ['fetch', 'undici.fetch', 'grpc-js', 'node-http', 'grpc'];
const mostPercent = 5;

/** @param {readonly Figures[]} figures @returns {Verdict[]} */
export const adapterVerdicts = (figures) =>
  figures
    .filter(({ id, failed }) => judged.includes(id) && failed === 0)
    .flatMap(({ name, governs, loads }) =>
      loads.map(({ atOnce, cpuUs }) => {
        const percent = (cpuUs.ratio - 1) * 100;
        return {
          goal: `a governed ${governs} takes at most ${mostPercent} % more CPU time than the bare one`,
          by: `${name}, ${atOnce} at once`,
          holds: cpuUs.ratio <= 1 + mostPercent / 100,
          figures: `${percent.toFixed(1)} %, ${cpuUs.bare.toFixed(0)} to ${cpuUs.governed.toFixed(0)} µs a call`,
        };
      }),
    );
