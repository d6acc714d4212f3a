import { barChart } from '../charts/bar-chart.mjs';
import { legend, lineChart } from '../charts/line-chart.mjs';
import { charts, dataTable, figure } from '../figure.mjs';
import { html } from '../markup.mjs';

/** @typedef {import('../figure.mjs').Source} Source */

const isOurs = (/** @type {string} */ name) => name === 'evidence';
/** @param {number | null} value @param {number} [digits] */
const fixed = (value, digits = 2) => (value === null ? 'never' : value.toFixed(digits));

/** @param {any[]} chosen */
function outageBars(chosen) {
  const rates = chosen[0]?.outages.map((/** @type {any} */ one) => one.perSecond) ?? [];
  return rates.flatMap((/** @type {number} */ rate, /** @type {number} */ nth) => {
    const wasted = `Wasted in an outage of 20 s at ${rate} a second`;
    const back = `Seconds until 95 % is served again at ${rate} a second`;
    return [
      figure(
        wasted,
        barChart({
          title: wasted,
          bars: chosen.map(({ name, outages }) => ({
            ...{ name, ours: isOurs(name), value: outages[nth].wasted, text: String(outages[nth].wasted) },
          })),
          rules: [[60, '60']],
        }),
      ),
      figure(
        back,
        barChart({
          title: back,
          bars: chosen.map(({ name, outages }) => ({
            ...{
              name,
              ours: isOurs(name),
              value: outages[nth].recoveryS ?? 40,
              text: fixed(outages[nth].recoveryS, 1),
            },
          })),
          rules: [[3, '3 s']],
        }),
      ),
    ];
  });
}

/** @typedef {{ title: string, of: (line: any) => readonly number[], from: number, to: number, max: number }} View */

/** @param {any} outage of the study `series` @param {View} view */
function overTime({ fromMs, binMs, downMs, lines }, { title, of, from, to, max }) {
  const shown = lines.map((/** @type {any} */ line) => ({
    name: line.name,
    ours: isOurs(line.name),
    points: of(line)
      .map((value, bin) => [(fromMs + (bin + 0.5) * binMs) / 1000, value])
      .filter(([at = 0]) => at >= from && at <= to),
  }));
  const [down, up] = downMs.map((/** @type {number} */ ms) => ms / 1000);
  const chart = lineChart({
    title,
    x: { label: 's', min: from, max: to },
    y: { label: 'a second', min: 0, max },
    bands: down < to && up > from ? [[Math.max(down, from), up, 'down']] : [],
    lines: shown,
  });
  return figure(title, chart, legend(shown));
}

/** @param {any[]} outages */
function pictures(outages) {
  return outages.flatMap((outage) => {
    const { perSecond } = outage;
    const whole = outage.id === 'outage';
    const sent = whole
      ? 'Sent to a callee that is down'
      : 'Sent to one that comes back with half of its capacity';
    return [
      overTime(outage, { title: sent, of: (line) => line.sent, from: 5, to: 60, max: perSecond * 1.1 }),
      overTime(outage, {
        ...{ title: `${whole ? 'Served' : 'Served by half'} when it is back`, of: (line) => line.succeeded },
        ...{ from: 28, to: 50, max: perSecond * (whole ? 1.1 : 0.6) },
      }),
    ];
  });
}

/** @param {Source} source @param {Source | undefined} series */
export function breakingSection(source, series) {
  const { chosen, keptBack = [], operations = [], sheds = [], seeds } = source.data;
  const chosenRows = chosen.map((/** @type {any} */ one) => [
    one.name,
    ...one.outages.map((/** @type {any} */ at) => `${at.wasted} / ${fixed(at.recoveryS, 1)}`),
    fixed(one.steadyPasses),
    fixed(one.halfWasted),
    fixed(one.halfUsed),
    fixed(one.overshoot),
    String(one.falseOpens),
  ]);
  const rates = chosen[0]?.outages.map((/** @type {any} */ at) => `wasted / back s at ${at.perSecond}`) ?? [];
  const breakers = keptBack[0]?.cells.map((/** @type {any} */ cell) => cell.breaker) ?? [];
  return html`<section id="breaking"><h2>Breaking</h2>
<p>A callee that is down from 10 to 30 s, one that has half of the capacity, one that fails now and then: worst of
${seeds.length} seeds. Wasted is what was sent and did not succeed.</p>
${charts(outageBars(chosen), source)}
${series !== undefined && charts(pictures(series.data.outages), series)}
${dataTable(
  {
    caption: 'Shapes that constants were chosen by',
    heads: [
      'breaker',
      ...rates,
      '30 % fail: passes',
      'half: wasted a served',
      'half: used',
      'way back ×',
      'refused in 1 h at 1 %',
    ],
    rows: chosenRows,
    ours: isOurs,
  },
  source,
)}
${dataTable(
  {
    caption:
      'A callee that sheds what is too much: used, of what it does for those who send all / wasted for each that was served / share of the time that breakers are open',
    heads: [
      ...['asked, in times of what it can do', 'clients', 'the callee tells'],
      ...(sheds[0]?.found.map((/** @type {any} */ one) => one.name) ?? []),
    ],
    rows: sheds.map((/** @type {any} */ { factor, clients, telling, found }) => [
      ...[factor === undefined ? 'what others leave' : `${factor} ×`, String(clients), telling],
      ...found.map(
        (/** @type {any} */ one) => `${fixed(one.used)} / ${fixed(one.wasted)} / ${fixed(one.open)}`,
      ),
    ]),
  },
  source,
)}
${dataTable(
  {
    caption: 'Kept back: share served / wasted for each that was served',
    heads: ['shape', ...breakers],
    rows: keptBack.map((/** @type {any} */ { name, cells }) => [
      name,
      ...cells.map((/** @type {any} */ cell) => `${fixed(cell.served)} / ${fixed(cell.perServed)}`),
    ]),
  },
  source,
)}
${dataTable(
  {
    caption: 'Some of ten operations fail',
    heads: ['breaker', 'failing', 'others served', 'failing spared'],
    rows: operations.map((/** @type {any} */ one) => [
      one.name,
      String(one.failing),
      fixed(one.served, 3),
      fixed(one.spared, 3),
    ]),
  },
  source,
)}</section>
`;
}
