/** @typedef {import('../goals.mjs').Verdict} Verdict */
/** @typedef {import('../overhead/report.mjs').Row} Row */

/** @typedef {{ readonly id: string, readonly what: string, readonly field: 'addedInstructions' | 'addedBytes', readonly most: number }} Goal */

/** @type {readonly Goal[]} */
const goals = [
  {
    ...{ id: 'chain', field: 'addedInstructions', most: 1600 },
    what: 'breaker, limit and pick over a bare await add at most 1600 instructions',
  },
  {
    ...{ id: 'chain', field: 'addedBytes', most: 200 },
    what: 'breaker, limit and pick over a bare await add at most 200 bytes',
  },
  {
    ...{ id: 'gate.evidence', field: 'addedInstructions', most: 120 },
    what: 'the evidence breaker lets in and learns in at most 120 instructions',
  },
  {
    ...{ id: 'standard.30', field: 'addedInstructions', most: 400 },
    what: 'pick and done among 30 endpoints take at most 400 instructions',
  },
  {
    ...{ id: 'standard.1000', field: 'addedInstructions', most: 600 },
    what: 'pick and done among 1000 endpoints take at most 600 instructions',
  },
  {
    ...{ id: 'edges.server', field: 'addedInstructions', most: 150 },
    what: 'counting the edges of a server adds at most 150 instructions to a call',
  },
];

/** What is not measured is not judged. @param {readonly Row[]} rows @returns {Verdict[]} */
export const costVerdicts = (rows) =>
  goals.flatMap(({ id, what, field, most }) => {
    const found = rows.find((row) => row.id === id)?.[field];
    if (found === undefined || Number.isNaN(found)) return [];
    const by = field === 'addedBytes' ? 'bytes' : 'instructions';
    return [{ goal: what, by, holds: found <= most, figures: `${found.toFixed(0)} of ${most}` }];
  });
