import { markdown } from '../table.mjs';

/** @typedef {import('../goals.mjs').Figure} Figure */
/** @typedef {{ readonly title: string, readonly rows: readonly Row[] }} Section */
/**
 * @typedef {Figure & { id: string, name: string, timesBare: number, addedNs: number, addedContextNs: number,
 *   addedCpuNs: number, addedBytes: number, addedInstructions: number }} Row
 */

/** @param {readonly import('../harness.mjs').Subject[]} subjects @param {Record<string, Figure>} figures @returns {Section[]} */
export function sectionsOf(subjects, figures) {
  return subjects.map(({ title, cases }) => ({
    title,
    rows: cases.map(({ id, name, against = 'bare' }) => {
      const figure = figures[id] ?? {};
      /** @param {keyof Figure} field */
      const added = (field) => (figure[field] ?? Number.NaN) - (figures[against]?.[field] ?? Number.NaN);
      return {
        id,
        name,
        ...figure,
        timesBare: (figure.ns ?? Number.NaN) / (figures['bare']?.ns ?? Number.NaN),
        addedNs: added('ns'),
        addedContextNs: added('contextNs'),
        addedCpuNs: added('cpuNs'),
        addedBytes: added('bytes'),
        addedInstructions: added('instructions'),
      };
    }),
  }));
}

/** @type {readonly { readonly head: string, readonly of: (row: Row) => number | undefined, readonly digits?: number }[]} */
const columns = [
  { head: 'ns', of: (row) => row.ns },
  { head: '× bare', of: (row) => row.timesBare, digits: 1 },
  { head: 'added ns', of: (row) => row.addedNs },
  { head: 'added ns, ALS', of: (row) => row.addedContextNs },
  { head: 'added CPU ns', of: (row) => row.addedCpuNs },
  { head: 'bytes', of: (row) => row.bytes },
  { head: 'added bytes', of: (row) => row.addedBytes },
  { head: 'instructions', of: (row) => row.instructions },
  { head: 'added instructions', of: (row) => row.addedInstructions },
];

/** @param {number | undefined} value */
const isKnown = (value) => value !== undefined && !Number.isNaN(value);

/** @param {readonly Section[]} sections @returns {string} a table in Markdown; empty where nothing was measured */
export function tableOf(sections) {
  const all = sections.flatMap(({ rows }) => rows);
  const shown = columns.filter(({ of }) => all.some((row) => isKnown(of(row))));
  return markdown(
    ['case', ...shown.map(({ head }) => head)],
    sections.flatMap(({ title, rows }) => [
      [`**${title}**`],
      ...rows.map((row) => [row.name, ...shown.map((column) => cellOf(row, column))]),
    ]),
  );
}

/** @param {Row} row @param {typeof columns[number]} column */
function cellOf(row, { of, digits = 0 }) {
  const value = of(row);
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits);
}

/** @param {readonly import('../goals.mjs').Verdict[]} verdicts */
export function goalsText(verdicts) {
  const goals = [...new Set(verdicts.map(({ goal }) => goal))];
  return goals
    .map((goal) => {
      const lines = verdicts
        .filter((verdict) => verdict.goal === goal)
        .map(({ by, holds, figures }) => `  ${holds ? 'holds ' : 'MISSED'}  by ${by}: ${figures}`);
      return [`Goal: ${goal}`, ...lines].join('\n');
    })
    .join('\n\n');
}
