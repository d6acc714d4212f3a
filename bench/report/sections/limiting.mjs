import { legend, lineChart } from '../charts/line-chart.mjs';
import { charts, dataTable, figure } from '../figure.mjs';
import { html } from '../markup.mjs';

/** @typedef {import('../figure.mjs').Source} Source */

/** Those of the table that stand for a way of doing it. */
const drawn = [
  'dispatch-queue',
  'bbr',
  'kratos-500-0.95',
  'gradient',
  'vegas',
  'under-pressure-1000-cumulative',
  'fixed-20',
  'none',
];
const ours = ['dispatch-queue', 'bbr'];

/** @param {number | null} ms */
const millis = (ms) => (ms === null ? 'never' : ms.toFixed(0));
/** @param {number | null} ratio */
const share = (ratio) => (ratio === null ? '' : ratio.toFixed(3));

/** @param {readonly any[]} cells @param {string} style @param {{ title: string, of: (cell: any) => number, y: import('../charts/line-chart.mjs').Axis }} what */
function overLoad(cells, style, { title, of, y }) {
  const here = cells.flatMap((cell) => {
    const [, load, kind] = /^step-([\d.]+)-(\w+)$/.exec(cell.scenario) ?? [];
    return kind === style ? [{ cell, load: Number(load) }] : [];
  });
  const loads = [...new Set(here.map(({ load }) => load))].sort((one, other) => one - other);
  const lines = drawn.flatMap((name) => {
    const points = here
      .filter(({ cell }) => cell.contender === name)
      .map(({ cell, load }) => /** @type {[number, number]} */ ([load, of(cell)]));
    return points.length === 0 ? [] : [{ name, ours: ours.includes(name), points }];
  });
  const whole = `${title}, handlers: ${style}`;
  const x = {
    ...{ label: 'times the capacity', log: true, min: loads[0] ?? 1, max: Math.max(loads.at(-1) ?? 10, 2) },
    ticks: loads.map((load) => ({ value: load, text: `${load}×` })),
  };
  return figure(whole, lineChart({ title: whole, x, y, lines, dots: true }), legend(lines));
}

/** @param {any} step of the study `series` */
function throughStep({ id, binMs, stepMs, lines }) {
  const title = `Through a step to 5× and back, ${id.replace(/^.*-/, '')}`;
  const shown = lines.map((/** @type {any} */ { name, values }) => ({
    name,
    ours: /^(dispatchQueue|bbr)$/.test(name),
    points: values.map((/** @type {number} */ value, /** @type {number} */ bin) => [
      ((bin + 0.5) * binMs) / 1000,
      value,
    ]),
  }));
  const [from, until] = stepMs.map((/** @type {number} */ ms) => ms / 1000);
  const chart = lineChart({
    title,
    x: { label: 's', min: 0, max: ((lines[0]?.values.length ?? 1) * binMs) / 1000 },
    y: { label: 'good work, parts of the thread', min: 0, max: 1.1 },
    bands: [[from, until, '5×']],
    lines: shown,
  });
  return figure(title, chart, legend(shown));
}

/** @param {Source} source @param {RegExp} which @param {{ caption: string, show: (cell: any) => string }} what */
function table(source, which, { caption, show }) {
  /** @type {any[]} */
  const cells = source.data.cells.filter((/** @type {any} */ cell) => which.test(cell.scenario));
  const scenarios = [...new Set(cells.map(({ scenario }) => scenario))];
  const contenders = [...new Set(cells.map(({ contender }) => contender))];
  const rows = contenders.map((name) => [
    name,
    ...scenarios.map((scenario) => {
      const cell = cells.find((one) => one.contender === name && one.scenario === scenario);
      return cell === undefined ? '' : show(cell);
    }),
  ]);
  return dataTable(
    { caption, heads: ['limiter', ...scenarios], rows, ours: (name) => ours.includes(name) },
    source,
  );
}

/** @param {Source} source @param {Source | undefined} series */
export function limitingSection(source, series) {
  const { cells, lengths } = source.data;
  const styles = [
    ...new Set(
      cells.flatMap((/** @type {any} */ { scenario }) => /^step-[\d.]+-(\w+)$/.exec(scenario)?.[1] ?? []),
    ),
  ].map(String);
  const steps = /^step-/;
  return html`<section id="limiting"><h2>Limiting</h2>
<p>One Node process in virtual time: its event loop, the queue of its kernel, handlers that await or never do. From 0.6 of what it
can for ${lengths.calmMs / 1000} s to several times that for ${lengths.hardMs / 1000} s, and back. Good work is what is answered
within 500 ms; 1 is all that can be had when each refusal costs what it costs.</p>
${charts(
  styles.flatMap((style) => [
    overLoad(cells, style, {
      title: 'Good work in parts of the limit',
      of: ({ goodput }) => goodput,
      y: { label: 'parts of the limit', min: 0, max: 1.05 },
    }),
    overLoad(cells, style, {
      title: 'p99 of those let in',
      of: ({ p99Ms }) => p99Ms,
      y: { label: 'ms', min: 20, max: 20_000, log: true },
    }),
  ]),
  source,
)}
${series !== undefined && charts(series.data.steps.map(throughStep), series)}
${table(source, steps, {
  caption:
    'Steps, which constants were chosen on: good work, p99 in ms, important calls served, ms to 0.9 of the limit',
  show: ({ goodput, p99Ms, highRatio, riseMs }) =>
    [share(goodput), millis(p99Ms), share(highRatio), millis(riseMs)].join(' / '),
})}
${table(source, /^steady-/, {
  caption: 'Refused at a load that can be borne, in %',
  show: ({ refused }) => (refused * 100).toFixed(3),
})}
${table(source, /^(?!step-|steady-)/, {
  caption: 'Kept back: good work, p99 in ms, served after it is over',
  show: ({ goodput, p99Ms, servedAfter }) => [share(goodput), millis(p99Ms), share(servedAfter)].join(' / '),
})}</section>
`;
}
