import { barChart } from '../charts/bar-chart.mjs';
import { legend, lineChart } from '../charts/line-chart.mjs';
import { charts, dataTable, figure } from '../figure.mjs';
import { html } from '../markup.mjs';

/** @typedef {import('../figure.mjs').Source} Source */
/** @typedef {Record<string, any> & { scenario: string, load: number, rule: string, transport: string }} Cell */

/** @param {Cell} cell */
const lineOf = ({ rule, transport }) => (transport === 'single' ? rule : `${rule}, ${transport}`);
/** @param {Cell} cell */
const placeOf = ({ scenario, load }) => `${scenario} at ${load}`;
/** @param {number} ms */
const millis = (ms) => (ms >= 1000 ? 'TO' : ms.toFixed(0));
/** @param {Cell} cell */
const latencies = ({ p50, p99, p999, errors }) =>
  `${[p50, p99, p999].map(millis).join('/')}${errors > 0 ? ` (${(errors * 100).toPrecision(2)})` : ''}`;
/** @param {number} gap */
const percent = (gap) => (gap < 0 ? 'below 0' : `${(gap * 100).toFixed(0)} %`);
/** @param {Cell} cell */
const gapText = ({ gap }) => percent(gap);
/** With the least and the most of all seeds, where they differ as printed. @param {(value: number) => string} show @param {string} field */
const withRange = (show, field) => (/** @type {Cell} */ cell) => {
  const median = show(cell[field]);
  const ends = cell['ranges']?.[field]?.map(show);
  return ends === undefined || ends[0] === ends[1] ? median : `${median} (${ends[0]} to ${ends[1]})`;
};

/** Some that others are known by, as long as they were run. */
const known = [
  'least request P2C',
  'kratos v3',
  'Finagle peak EWMA',
  'C3, full scan',
  'JIQ + kratos v2',
  'kratos v2',
];
const mostLines = 8;

/** @param {readonly Cell[]} cells @param {any} model */
function worthDrawing(cells, { judged, ideal }) {
  const lines = [...new Set(cells.map(lineOf))];
  const ours = [`${judged}, tied`, judged, `${judged}, tied, claiming`];
  return [...ours, ideal, ...known].filter((name) => lines.includes(name)).slice(0, mostLines);
}

/** p50, p90, … as far as they are there, one nine after the other. @param {Cell} cell @returns {[number, number][]} */
const nines = (cell) =>
  Object.entries(cell)
    .filter(([key, value]) => /^p\d+$/.test(key) && typeof value === 'number')
    .map(
      ([key, value]) =>
        /** @type {[number, number]} */ ([-Math.log10(1 - Number(`0.${key.slice(1)}`)), value]),
    )
    .sort(([one], [other]) => one - other);
const ninesTicks = [50, 90, 99, 99.9, 99.99].map((percent) => ({
  value: -Math.log10(1 - percent / 100),
  text: `p${percent}`,
}));

/** @param {readonly Cell[]} cells @param {string} place @param {any} model */
function distribution(cells, place, model) {
  const here = cells.filter((cell) => placeOf(cell) === place);
  const lines = worthDrawing(here, model).flatMap((name) => {
    const cell = here.find((one) => lineOf(one) === name);
    return cell === undefined ? [] : [{ name, ours: name.startsWith(model.judged), points: nines(cell) }];
  });
  const points = lines.flatMap((line) => line.points);
  const values = points.map(([, ms]) => ms);
  const last = Math.max(3, ...points.map(([nines]) => nines));
  // A hair more: what is computed from the name of a quantile is not the same to the last bit.
  const ticks = ninesTicks.filter(({ value }) => value <= last + 1e-9);
  const title = `Latency at ${place} of capacity`;
  const chart = lineChart({
    title,
    x: { label: 'share of calls', min: ninesTicks[0]?.value ?? 0, max: last, ticks },
    y: { label: 'ms', min: Math.min(...values, 5), max: Math.max(...values, 50), log: true },
    lines,
    dots: true,
  });
  return figure(title, chart, legend(lines));
}

/** @param {readonly Cell[]} cells @param {string} place @param {any} model */
function gaps(cells, place, model) {
  const here = cells.filter((cell) => placeOf(cell) === place && typeof cell['gap'] === 'number');
  const bars = worthDrawing(here, model)
    .filter((name) => name !== model.ideal && name !== model.base)
    .flatMap((name) => {
      const cell = here.find((one) => lineOf(one) === name);
      return cell === undefined
        ? []
        : [
            {
              ...{ name, value: cell['gap'], text: gapText(cell), range: cell['ranges']?.gap },
              ours: name.startsWith(model.judged),
            },
          ];
    });
  const title = `p99 gap closed, ${place}`;
  return figure(
    title,
    barChart({
      title,
      bars,
      max: 1,
      rules: [
        [0.54, '54'],
        [0.85, '85 %'],
      ],
    }),
  );
}

/** @param {readonly Cell[]} cells @param {Source} source @param {{ caption: string, show: (cell: Cell) => string }} what */
function table(cells, source, { caption, show }) {
  const places = [...new Set(cells.map(placeOf))];
  const lines = [...new Set(cells.map(lineOf))];
  const rows = lines.map((line) => [
    line,
    ...places.map((place) => {
      const cell = cells.find((one) => lineOf(one) === line && placeOf(one) === place);
      return cell === undefined ? '' : show(cell);
    }),
  ]);
  const ours = (/** @type {string} */ name) => name.startsWith(source.data.model.judged);
  return dataTable({ caption, heads: ['rule', ...places], rows, ours }, source);
}

/** @param {Source} source */
export function balancingSection(source) {
  const { cells, scenarios, model } = source.data;
  /** @param {boolean} chosenOn */
  const group = (chosenOn) => {
    const here = scenarios.filter((/** @type {any} */ one) => one.chosenOn === chosenOn);
    const own = cells.filter((/** @type {Cell} */ cell) =>
      here.some((/** @type {any} */ one) => one.id === cell.scenario),
    );
    if (own.length === 0) return '';
    const busy = own.filter((/** @type {Cell} */ cell) => cell.load >= 0.7);
    const places = [...new Set(busy.map(placeOf))].map(String);
    const drawn = chosenOn ? places.filter((place) => place.endsWith('at 0.9')) : [];
    return html`<h3>${chosenOn ? 'Scenarios that constants were chosen on' : 'Scenarios that were kept back'}</h3>
<ul>${here.map((/** @type {any} */ one) => html`<li>${one.id}: ${one.title}</li>`)}</ul>
${charts(
  places.map((place) => gaps(busy, place, model)),
  source,
)}
${charts(
  drawn.map((place) => distribution(own, place, model)),
  source,
)}
${table(own, source, { caption: 'p50/p99/p999 in ms, and failed calls in %', show: latencies })}
${table(
  own.filter((/** @type {Cell} */ cell) => typeof cell['gap'] === 'number'),
  source,
  { caption: 'p99 gap closed', show: withRange(percent, 'gap') },
)}
${table(
  own.filter((/** @type {Cell} */ cell) => cell['ranges']?.p99 !== undefined),
  source,
  { caption: 'p99 in ms: median, and the least and the most of all seeds', show: withRange(millis, 'p99') },
)}
${table(
  own.filter((/** @type {Cell} */ cell) => cell['copies'] > 0 || cell['messages'] > 0),
  source,
  {
    caption: 'Second copies in %, calls that ran twice in %, further messages a call',
    show: ({ copies, duplicates, messages }) =>
      `${(copies * 100).toFixed(1)}/${(duplicates * 100).toFixed(2)}/${messages.toFixed(1)}`,
  },
)}`;
  };
  return html`<section id="balancing"><h2>Balancing</h2>
<p>Clients that know nothing of each other call replicas of one thread each, in virtual time; all rules meet the same calls. Of what
separates <b>${model.base}</b> (0 %) from <b>${model.ideal}</b> (100 %), which knows every queue, the gap closed is what a rule
takes. A call that timed out counts with its deadline of ${model.deadlineMs} ms (TO).</p>
${group(true)}${group(false)}</section>
`;
}
