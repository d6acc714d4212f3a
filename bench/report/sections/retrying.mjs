import { barChart } from '../charts/bar-chart.mjs';
import { charts, dataTable, figure } from '../figure.mjs';
import { html } from '../markup.mjs';

/** @typedef {import('../figure.mjs').Source} Source */

const isOurs = (/** @type {string} */ name) => name.startsWith('keelson');

/** @param {Record<string, Record<string, any>>} found */
const troublesOf = (found) => Object.keys(Object.values(found)[0] ?? {});

/** @param {Record<string, Record<string, any>>} found @param {string} caption @param {Source} source */
const table = (found, caption, source) =>
  dataTable(
    {
      caption,
      heads: ['rule', ...troublesOf(found)],
      rows: Object.entries(found).map(([name, by]) => [
        name,
        ...Object.values(by).map(
          ({ amplified, served }) => `${amplified.toFixed(2)} / ${(served * 100).toFixed(2)} %`,
        ),
      ]),
      ours: isOurs,
    },
    source,
  );

/** @param {Source} source */
export function retryingSection(source) {
  const { chosen, keptBack } = source.data;
  const bars = troublesOf(chosen).map((trouble) => {
    const title = `Requests at the bottom for each of a user: ${trouble}`;
    return figure(
      title,
      barChart({
        title,
        bars: Object.entries(chosen).map(([name, by]) => {
          const { amplified } = /** @type {any} */ (by)[trouble];
          return { name, ours: isOurs(name), value: amplified, text: amplified.toFixed(2) };
        }),
        rules: [[1.2, '1.2']],
      }),
    );
  });
  return html`<section id="retrying"><h2>Retrying</h2>
<p>Users in front of three tiers; services of the last one fail, and every tier may retry.</p>
${charts(bars, source)}
${table(chosen, 'The budget was chosen by these: amplified at the bottom / served', source)}
${table(keptBack, 'Kept back: amplified at the bottom / served', source)}</section>
`;
}
