import { barChart } from '../charts/bar-chart.mjs';
import { charts, dataTable, figure } from '../figure.mjs';
import { html } from '../markup.mjs';

/** @typedef {import('../figure.mjs').Source} Source */

/** @param {number | null | undefined} value @param {number} [digits] */
const shown = (value, digits = 0) => (typeof value === 'number' ? value.toFixed(digits) : '');

/** @type {readonly (readonly [head: string, field: string])[]} */
const columns = [
  ['instructions', 'instructions'],
  ['added', 'addedInstructions'],
  ['bytes', 'bytes'],
  ['added bytes', 'addedBytes'],
  ['ns', 'ns'],
  ['added ns', 'addedNs'],
  ['added ns, ALS', 'addedContextNs'],
  ['added CPU ns', 'addedCpuNs'],
];

/** @param {Source} source @param {string} caption */
function table(source, caption) {
  /** @type {any[]} */
  const rows = source.data.sections.flatMap((/** @type {any} */ section) => section.rows);
  const used = columns.filter(([, field]) => rows.some((row) => typeof row[field] === 'number'));
  return dataTable(
    {
      caption,
      heads: ['case', ...used.map(([head]) => head)],
      rows: rows.map((row) => [row.name, ...used.map(([, field]) => shown(row[field]))]),
    },
    source,
  );
}

/** @type {readonly (readonly [title: string, ids: RegExp, rules: readonly (readonly [number, string])[]])[]} */
const pictures = [
  ['Gates, instructions of letting in and learning', /^gate\./, [[120, '120']]],
  [
    'Pick and done, instructions',
    /^standard\./,
    [
      [400, '400'],
      [600, '600'],
    ],
  ],
  [
    'Added around a call, instructions',
    /^(chain|queue|client\..*|attempt\..*|opossum|cockatiel\..*)$/,
    [[1600, '1600']],
  ],
];

/** @param {Source} source */
export function costSection(source) {
  /** @type {any[]} */
  const rows = source.data.sections.flatMap((/** @type {any} */ section) => section.rows);
  const drawn = pictures.flatMap(([title, ids, rules]) => {
    const bars = rows
      .filter((row) => ids.test(row.id) && typeof row.addedInstructions === 'number')
      .map((row) => ({
        name: row.id,
        value: Math.max(0, row.addedInstructions),
        text: shown(row.addedInstructions),
        ours: !/^(opossum|cockatiel)/.test(row.id),
      }));
    return bars.length === 0 ? [] : [figure(title, barChart({ title, bars, rules }))];
  });
  return html`<section id="cost"><h2>Cost of a call</h2>
<p>Instructions by the slope between two runs of different length under valgrind, on one thread, less those of the loop around it.
They do not depend on what else the machine does.</p>
${charts(drawn, source)}${table(source, 'Instructions and bytes of a call')}</section>
`;
}

/** @param {Source} source */
export const overheadSection = (source) => html`<section id="overhead"><h2>Time of a call</h2>
${table(source, 'Nanoseconds and bytes of a call without a network')}</section>
`;

/** @param {Source} source */
export function adaptersSection(source) {
  /** @type {any[]} */
  const figures = source.data.figures;
  const sides = /** @type {const} */ (['client', 'server']).map((side) => {
    const title = `CPU time of a governed ${side} beside the bare one, %, 32 at once`;
    const bars = figures
      .filter(({ governs }) => governs === side)
      .map(({ name, loads }) => {
        const { ratio } = loads.at(-1).cpuUs;
        return {
          name,
          value: Math.max(0, ratio - 1),
          text: `${((ratio - 1) * 100).toFixed(0)} %`,
          ours: true,
        };
      });
    return figure(title, barChart({ title, bars, rules: [[0.05, '5 %']] }));
  });
  const rows = figures.flatMap(({ name, governs, loads }) =>
    loads.map((/** @type {any} */ { atOnce, cpuUs, p50Us, p99Us, perSecond }) => [
      `${name} (${governs}), ${atOnce} at once`,
      ...[cpuUs, p50Us, p99Us, perSecond].flatMap(({ bare, governed, ratio }) => [
        shown(bare),
        shown(governed),
        shown(ratio, 2),
      ]),
    ]),
  );
  const heads = ['CPU µs a call', 'p50 µs', 'p99 µs', 'calls/s'].flatMap((head) => [head, 'governed', '×']);
  return html`<section id="adapters"><h2>Cost of an adapter</h2>
<p>Client and server in processes of their own over loopback, bare and governed in turn: the CPU time of the whole process, divided by
its calls. Ratios are medians of those within each round.</p>
${charts(sides, source)}
${dataTable({ caption: 'Bare and governed', heads: ['', ...heads], rows }, source)}</section>
`;
}
