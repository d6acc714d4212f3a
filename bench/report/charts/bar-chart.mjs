import { html } from '../markup.mjs';
import { linear } from './scale.mjs';

/** @typedef {{ readonly name: string, readonly value: number | undefined, readonly text: string, readonly ours?: boolean, readonly range?: readonly [number, number] | undefined }} Bar `range`: between which values it was found */
/**
 * @typedef {object} BarChart
 * @property {string} title for those who cannot see it
 * @property {readonly Bar[]} bars
 * @property {number} [max] the highest bar if left out; what is longer ends there
 * @property {readonly (readonly [at: number, text: string])[]} [rules] what to compare with
 */

const width = 460;
const rowHeight = 19;
const valueWidth = 62;
const charWidth = 5.9;
const mostLabel = 205;

/** Lying bars, one below the other; their names are read without turning the head. @param {BarChart} chart */
export function barChart({ title, bars, max, rules = [] }) {
  const labels = Math.min(mostLabel, 12 + charWidth * Math.max(...bars.map(({ name }) => name.length)));
  const most = max ?? Math.max(1e-9, ...bars.map(({ value }) => value ?? 0), ...rules.map(([at]) => at));
  const scale = linear([0, most], [labels, width - valueWidth]);
  const top = rules.length > 0 ? 16 : 2;
  const bottom = top + bars.length * rowHeight;
  const room = Math.floor((labels - 8) / charWidth);
  return html`<svg viewBox="0 0 ${width} ${bottom + 4}" role="img" aria-label="${title}">
${bars.map(({ name, value, text, ours, range }, nth) => {
  const y = top + nth * rowHeight;
  const end = scale.at(value ?? 0);
  return html`<text x="${(labels - 6).toFixed(1)}" y="${y + 13}" text-anchor="end"${ours && html` class="value"`}><title>${name}</title>${
    name.length > room ? `${name.slice(0, room - 1)}…` : name
  }</text><rect class="bar ${ours ? 't1' : 'peer'}" x="${labels.toFixed(1)}" y="${y + 3}" width="${(end - labels).toFixed(1)}" height="${rowHeight - 6}" rx="1.5"/>${
    range &&
    html`<line class="range" x1="${scale.at(range[0]).toFixed(1)}" x2="${scale.at(range[1]).toFixed(1)}" y1="${y + 9.5}" y2="${y + 9.5}"/>`
  }<text class="value" x="${(Math.max(end, scale.at(range?.[1] ?? 0)) + 4).toFixed(1)}" y="${y + 13}">${text}</text>`;
})}
<line class="axis" x1="${labels.toFixed(1)}" x2="${labels.toFixed(1)}" y1="${top}" y2="${bottom}"/>
${rules.map(
  ([at, text]) =>
    html`<line class="rule" x1="${scale.at(at).toFixed(1)}" x2="${scale.at(at).toFixed(1)}" y1="${top - 2}" y2="${bottom}"/><text x="${scale.at(at).toFixed(1)}" y="10" text-anchor="middle">${text}</text>`,
)}
</svg>`;
}
