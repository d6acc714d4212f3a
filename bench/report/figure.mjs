import { html } from './markup.mjs';

/** @typedef {import('../provenance.mjs').Provenance} Provenance */
/** @typedef {import('./markup.mjs').Markup} Markup */
/**
 * @typedef {object} Source what one part or study wrote
 * @property {Provenance} about
 * @property {string} file
 * @property {any} data
 * @property {readonly Source[]} [runs] one by each seed, if there are several
 */

/** Where a figure comes from. @param {Source} source */
export const sourceLine = ({ about, file, runs }) =>
  html`<p class="source">${[
    runs !== undefined && `median of seeds ${runs.map((run) => run.about.seed).join(', ')} · `,
    runs === undefined && about.seed !== undefined && `seed ${about.seed} · `,
    `commit ${about.commit}${about.changed ? ' with changes' : ''} · `,
    html`<code>${about.command}</code> · `,
    (runs ?? [{ file }]).map((run, nth) => html`${nth > 0 && ', '}<a href="${run.file}">${run.file}</a>`),
    about.quick && ' · a quick run: it shows that all works, and its figures mean little',
  ]}</p>`;

/** @param {string} caption @param {...Markup} content */
export const figure = (caption, ...content) =>
  html`<figure><figcaption>${caption}</figcaption>${content}</figure>\n`;

/** Charts beside each other where there is room; nothing of nothing. @param {readonly Markup[]} charts @param {Source} source */
export const charts = (charts, source) =>
  charts.length > 0 && html`<div class="charts">${charts}</div>${sourceLine(source)}\n`;

/**
 * @typedef {object} DataTable
 * @property {string} caption
 * @property {readonly string[]} heads
 * @property {readonly (readonly string[])[]} rows the first cell is what the row is about
 * @property {(name: string) => boolean} [ours] rows that are set off
 */

/** Nothing of no rows. @param {DataTable} table @param {Source} source */
export const dataTable = ({ caption, heads, rows, ours }, source) =>
  rows.length > 0 &&
  html`<div class="scroll" role="region" tabindex="0" aria-label="${caption}"><table><caption>${caption}</caption><thead><tr>${heads.map(
    (head) => html`<th scope="col">${head}</th>`,
  )}</tr></thead><tbody>
${rows.map(
  ([
    name = '',
    ...cells
  ]) => html`<tr${ours?.(name) && html` class="ours"`}><th scope="row">${name}</th>${cells.map(
    (cell) => html`<td>${cell}</td>`,
  )}</tr>
`,
)}</tbody></table></div>${sourceLine(source)}\n`;
