/**
 * @typedef {object} Figure what is known of one case
 * @property {number} [ns] of the call, in the quickest quarter of the chunks
 * @property {number} [contextNs] the same in a process with AsyncLocalStorage
 * @property {number} [cpuNs] all CPU time of a process that makes these calls in a row
 * @property {number} [bytes]
 * @property {number} [instructions]
 */
/** @typedef {'ns' | 'contextNs' | 'cpuNs' | 'instructions'} Unit */
/** @typedef {{ readonly goal: string, readonly by: string, readonly holds: boolean, readonly figures: string }} Verdict */

/** @type {readonly (readonly [unit: Unit, by: string])[]} */
const measures = [
  ['cpuNs', 'all CPU time in a row of calls, ns'],
  ['ns', 'time within the call, ns'],
  ['contextNs', 'time within the call beside AsyncLocalStorage, ns'],
  ['instructions', 'instructions'],
];

const gates = ['gate.sre', 'gate.threshold', 'gate.bbr', 'gate.concurrency', 'gate.rate'];

/**
 * What the overhead is meant to be, and whether it is. Printed and never enforced: the machine may have other guests.
 *
 * @param {Record<string, Figure>} figures
 * @returns {Verdict[]}
 */
export function verdicts(figures) {
  return measures.flatMap(([unit, by]) => {
    /** @param {string} id @param {string} against */
    const added = (id, against) =>
      (figures[id]?.[unit] ?? Number.NaN) - (figures[against]?.[unit] ?? Number.NaN);
    return [clientGoal(added, by), gateGoal(added, by)].filter((verdict) => verdict !== undefined);
  });
}

/** @typedef {(id: string, against: string) => number} Added `NaN` for what was not measured */

/** @param {Added} added @param {string} by @returns {Verdict | undefined} */
function clientGoal(added, by) {
  const [ours, theirs] = [added('client.full', 'bare'), added('opossum', 'bare')];
  if (Number.isNaN(ours / theirs)) return undefined;
  return {
    goal: 'the full client stack adds less to await fn() than the default wrapper of opossum',
    by,
    holds: ours < theirs,
    figures: `${ours.toFixed(0)} / ${theirs.toFixed(0)} = ${(ours / theirs).toFixed(2)}`,
  };
}

/** @param {Added} added @param {string} by @returns {Verdict | undefined} */
function gateGoal(added, by) {
  const theirs = added('cockatiel.breaker', 'bare');
  const parts = gates
    .map((id) => ({ id, part: added(id, 'sync') / theirs }))
    .filter(({ part }) => !Number.isNaN(part));
  if (parts.length === 0) return undefined;
  return {
    goal: 'tryAcquire + release of a gate costs less than a quarter of what the breaker of cockatiel adds',
    by,
    holds: parts.every(({ part }) => part < 0.25),
    figures: `of ${theirs.toFixed(0)}: ${parts.map(({ id, part }) => `${id} ${part.toFixed(2)}`).join(', ')}`,
  };
}
