import { html } from '../markup.mjs';
import { linear, logarithmic } from './scale.mjs';

/** @typedef {import('./scale.mjs').Tick} Tick */
/** @typedef {readonly [x: number, y: number]} Point */
/** @typedef {{ readonly name: string, readonly points: readonly Point[], readonly ours?: boolean }} Line */
/**
 * @typedef {object} Axis
 * @property {string} label
 * @property {number} min
 * @property {number} max
 * @property {boolean} [log]
 * @property {readonly Tick[]} [ticks]
 */
/**
 * @typedef {object} LineChart
 * @property {string} title for those who cannot see it
 * @property {Axis} x
 * @property {Axis} y
 * @property {readonly Line[]} lines at most eight
 * @property {readonly (readonly [from: number, to: number, text: string])[]} [bands] of x
 * @property {boolean} [dots]
 */

const [width, height] = [460, 270];
const edge = { left: 46, right: 448, top: 14, bottom: 230 };
/** Of the second line and those after it. */
const dashes = ['', '7 3', '2 3', '9 3 2 3', '4 2', '1 2', '12 4', ''];

/** @param {Axis} axis @param {readonly [number, number]} range */
const scaleOf = ({ min, max, log, ticks }, range) => (log ? logarithmic : linear)([min, max], range, ticks);

/** @param {Line} line @param {number} nth */
const looks = ({ ours }, nth) =>
  html`class="t${nth + 1}${ours ? ' ours' : ''}" stroke-dasharray="${dashes[nth] || 'none'}"`;

/** What each line is called, beside the chart: inside there is no room on a phone. @param {readonly Line[]} lines */
export const legend = (lines) =>
  html`<ul class="legend">${lines.map(
    (line, nth) =>
      html`<li class="t${nth + 1}"><svg viewBox="0 0 26 8" aria-hidden="true"><polyline points="0,4 26,4" ${looks(line, nth)}/></svg>${line.name}</li>`,
  )}</ul>`;

/** At the right edge there is no room for half of it beyond. @param {number} at @param {string} text */
const underTick = (at, text) =>
  at > edge.right - 6
    ? html`<text x="${width - 2}" y="${edge.bottom + 17}" text-anchor="end">${text}</text>`
    : html`<text x="${at.toFixed(1)}" y="${edge.bottom + 17}" text-anchor="middle">${text}</text>`;

/** @param {LineChart} chart */
export function lineChart({ title, x, y, lines, bands = [], dots = false }) {
  const { left, right, top, bottom } = edge;
  const across = scaleOf(x, [left, right]);
  const up = scaleOf(y, [bottom, top]);
  /** @param {number} value */
  const digit = (value) => value.toFixed(1);
  const drawn = lines.map((line, nth) => {
    const points = line.points.filter((point) => point.every(Number.isFinite));
    const path = points.map(([px, py]) => `${digit(across.at(px))},${digit(up.at(py))}`).join(' ');
    return html`<polyline points="${path}" ${looks(line, nth)}><title>${line.name}</title></polyline>${
      dots &&
      points.map(
        ([px, py]) =>
          html`<circle class="t${nth + 1}" cx="${digit(across.at(px))}" cy="${digit(up.at(py))}" r="2.5"/>`,
      )
    }`;
  });
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
${bands.map(
  ([from, to, text]) =>
    html`<rect class="band" x="${digit(across.at(from))}" y="${top}" width="${digit(across.at(to) - across.at(from))}" height="${bottom - top}"/><text x="${digit(across.at(from) + 4)}" y="${top + 11}">${text}</text>`,
)}
${up.ticks.map(
  ({ value, text }) =>
    html`<line class="grid" x1="${left}" x2="${right}" y1="${digit(up.at(value))}" y2="${digit(up.at(value))}"/><text x="${left - 5}" y="${digit(up.at(value) + 4)}" text-anchor="end">${text}</text>`,
)}
${across.ticks.map(
  ({ value, text }) =>
    html`<line class="axis" x1="${digit(across.at(value))}" x2="${digit(across.at(value))}" y1="${bottom}" y2="${bottom + 4}"/>${underTick(across.at(value), text)}`,
)}
<line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>
<text x="${right}" y="${height - 6}" text-anchor="end">${x.label}</text><text x="2" y="10">${y.label}</text>
${[...drawn].reverse()}
</svg>`;
}
