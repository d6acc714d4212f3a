import { barChart } from '../charts/bar-chart.mjs';
import { legend, lineChart } from '../charts/line-chart.mjs';
import { charts, dataTable, figure } from '../figure.mjs';
import { html } from '../markup.mjs';
import { bearable, median, perCpuSecond, ratioOver, roundsOf } from '../overload-ratios.mjs';

/** @typedef {import('../figure.mjs').Source} Source */
/** @typedef {import('../../overload/run.mjs').Leg} Leg */

const isOurs = (/** @type {string} */ name) => name === 'keelson' || name === 'early';
/** @param {number} value */
const short = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '–');

/** @param {readonly Leg[]} legs @param {string} contender @param {number} factor */
const middle = (legs, contender, factor) =>
  median(
    legs
      .filter((leg) => leg.contender === contender && leg.factor === factor)
      .map(({ figures }) => perCpuSecond(figures)),
  );

/** @param {any} overload @param {string} scene */
function picture({ legs, bare }, scene) {
  /** @type {Leg[]} */
  const here = legs.filter((/** @type {Leg} */ leg) => leg.scene === scene);
  const factors = [...new Set(here.map(({ factor }) => factor))].sort((one, other) => one - other);
  const names = [...new Set(here.map(({ contender }) => contender))].sort(
    (one, other) => Number(isOurs(other)) - Number(isOurs(one)),
  );
  const capacity = median(
    bare
      .filter((/** @type {any} */ pair) => pair.scene === scene)
      .flatMap((/** @type {any} */ { before, after }) => [perCpuSecond(before), perCpuSecond(after)]),
  );
  const title = `In time for each second of CPU: ${scene}`;
  if (factors.length === 1) {
    const [factor = 1] = factors;
    const bars = names.map((name) => {
      const value = middle(here, name, factor);
      return { name, value, text: short(value), ours: isOurs(name) };
    });
    return figure(`${title}, ${factor}×`, barChart({ title, bars, rules: [[capacity, 'bare, unhurried']] }));
  }
  const lines = names.map((name) => ({
    name,
    ours: isOurs(name),
    points: factors.map((factor) => /** @type {[number, number]} */ ([factor, middle(here, name, factor)])),
  }));
  const chart = lineChart({
    title,
    x: {
      ...{ label: 'times the capacity', log: true, min: factors[0] ?? 0.5, max: factors.at(-1) ?? 10 },
      ticks: factors.map((factor) => ({ value: factor, text: `${factor}×` })),
    },
    y: { label: 'calls', min: 0, max: capacity * 1.1 },
    lines,
    dots: true,
  });
  return figure(title, chart, legend(lines));
}

/** @param {any} overload */
function ratioRows(overload) {
  const scenes = [...new Set(overload.legs.map((/** @type {Leg} */ leg) => leg.scene))].map(String);
  return scenes.flatMap((scene) => {
    /** @type {Leg[]} */
    const here = overload.legs.filter((/** @type {Leg} */ leg) => leg.scene === scene);
    const { all, calm } = roundsOf(overload, scene);
    return [...new Set(here.map(({ contender }) => contender))]
      .filter((other) => other !== 'keelson')
      .map((other) => [
        `${scene}: over ${other}`,
        ...[2, 5, 10].map((factor) => short(ratioOver(overload, { scene, other, factor }))),
        `${calm.length} of ${all}`,
      ]);
  });
}

/** @param {Source} source */
export function overloadSection(source) {
  const { data } = source;
  const scenes = [...new Set(data.legs.map((/** @type {Leg} */ leg) => leg.scene))].map(String);
  const refusals = 'µs of CPU to read a request and refuse it';
  const costs = data.rejectCost?.map((/** @type {any} */ { id, us }) => ({
    name: id,
    value: us,
    text: us.toFixed(1),
    ours: isOurs(id),
  }));
  return html`<section id="overload"><h2>Real servers under overload</h2>
<p>Real servers in processes of their own, arrivals at random in an open loop, callers that give up after 500 ms. Medians of the
rounds. Ratios count rounds alone in which the bare server did the same before and after, within ${bearable * 100} %; where most were
disturbed there are none (–).</p>
${charts(
  [
    ...scenes.map((scene) => picture(data, scene)),
    ...(costs ? [figure(refusals, barChart({ title: refusals, bars: costs, rules: [[15, '15']] }))] : []),
  ],
  source,
)}
${dataTable(
  {
    caption: 'keelson answers so many times as much in time, for each second of CPU',
    heads: ['scene', '2×', '5×', '10×', 'rounds undisturbed'],
    rows: ratioRows(data),
  },
  source,
)}</section>
`;
}
