// What a call costs, counted and not timed: instructions and bytes of each part, of chains and of stacks, beside others'.
import { costVerdicts } from './cost/goals.mjs';
import { bytesFlags } from './harness.mjs';
import { canCount, countInstructions } from './instructions.mjs';
import { goalsText, sectionsOf, tableOf } from './overhead/report.mjs';
import { allSubjects } from './overhead/subjects.mjs';
import { workerResult } from './processes.mjs';

/** A minute each. */
const counted = [
  ...['bare', 'sync', 'opossum', 'cockatiel.breaker', 'cockatiel.wrap'],
  ...['evidence', 'sre', 'threshold', 'gradient', 'vegas', 'bbr', 'concurrency', 'rate'].map(
    (gate) => `gate.${gate}`,
  ),
  ...['attempt.evidence', 'standard.3', 'standard.30', 'standard.1000', 'chain', 'queue.bare', 'queue'],
  ...['client.breaker', 'client.full', 'server.bare', 'server.full', 'edges.none', 'edges.server'],
];
/** Enough to see that it works. */
const countedQuickly = ['sync', 'gate.evidence'];

/** @param {import('./parts.mjs').PartOptions} options @returns {Promise<import('./parts.mjs').PartResult>} */
export async function cost({ quick, tell }) {
  const all = await allSubjects();
  for (const { close } of all) close?.();
  const ids = quick ? countedQuickly : counted;
  const subjects = all
    .map(({ key, title, cases }) => ({ key, title, cases: cases.filter(({ id }) => counted.includes(id)) }))
    .filter(({ cases }) => cases.length > 0);
  tell('bytes');
  const bytes = await workerResult(bytesFlags, ['bytes', 1, quick ? 3 : 80, 0.1]);
  const can = canCount();
  if (!can) tell('SKIPPED: instructions are counted by valgrind, and there is none on this machine');
  const cases = subjects.flatMap((subject) =>
    subject.cases.map(({ id, against }) => ({ id, against, subject: subject.key })),
  );
  const instructions = can
    ? await countInstructions(
        cases.filter(({ id }) => ids.includes(id)),
        (id) => tell(`instructions of ${id}`),
      )
    : {};
  /** @type {Record<string, import('./goals.mjs').Figure>} */
  const figures = Object.fromEntries(cases.map(({ id }) => [id, { ...bytes[id], ...instructions[id] }]));
  const sections = sectionsOf(subjects, figures);
  // Code that is still being compiled allocates what it will not.
  const rows = sections.flatMap((section) => section.rows);
  const goals = costVerdicts(rows).filter(({ by }) => !quick || by === 'instructions');
  return { text: `${tableOf(sections)}\n\n${goalsText(goals)}`, json: { cost: { sections, goals } } };
}
