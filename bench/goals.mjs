/**
 * @typedef {object} Figure what is known of one case
 * @property {number} ns
 * @property {number} medianNs
 * @property {number} bytes
 * @property {number} [instructions]
 */
/** @typedef {{ readonly goal: string, readonly holds: boolean, readonly figures: string }} Verdict */
/** @typedef {'ns' | 'instructions'} Unit */

const units = /** @type {const} */ (['ns', 'instructions']);

/** The awaited gates' synchronous halves that are compared with a whole breaker. */
const gates = ['gate.sre', 'gate.threshold', 'gate.bbr', 'gate.concurrency', 'gate.rate'];

/** @param {Record<string, Figure>} figures @returns {Verdict[]} printed and never enforced: the machine is not ours alone */
export function verdicts(figures) {
  return units.flatMap((unit) =>
    [clientGoal(figures, unit), gateGoal(figures, unit)].filter((one) => one !== undefined),
  );
}

/** @param {Record<string, Figure>} figures @param {Unit} unit */
function adder(figures, unit) {
  return (/** @type {string} */ id, against = 'bare') =>
    (figures[id]?.[unit] ?? Number.NaN) - (figures[against]?.[unit] ?? Number.NaN);
}

/** @param {Record<string, Figure>} figures @param {Unit} unit @returns {Verdict | undefined} */
function clientGoal(figures, unit) {
  const added = adder(figures, unit);
  const [ours, theirs] = [added('client.full'), added('opossum')];
  if (Number.isNaN(ours - theirs)) return undefined;
  return {
    goal: `the full client stack adds less to await fn() than opossum's default wrapper (${unit})`,
    holds: ours < theirs,
    figures: `${ours.toFixed(0)} against ${theirs.toFixed(0)}, that is ${(ours / theirs).toFixed(2)} of it`,
  };
}

/** @param {Record<string, Figure>} figures @param {Unit} unit @returns {Verdict | undefined} */
function gateGoal(figures, unit) {
  const added = adder(figures, unit);
  const theirs = added('cockatiel.breaker');
  const known = gates
    .map((id) => ({ id, part: added(id, 'sync') / theirs }))
    .filter(({ part }) => !Number.isNaN(part));
  if (known.length === 0) return undefined;
  return {
    goal: `tryAcquire + release of a gate is less than a quarter of what cockatiel's breaker adds (${unit})`,
    holds: known.every(({ part }) => part < 0.25),
    figures: `of ${theirs.toFixed(0)}: ${known.map(({ id, part }) => `${id} ${part.toFixed(2)}`).join(', ')}`,
  };
}
