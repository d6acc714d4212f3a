import { judgementsOf } from './judgements.mjs';
import { html, Markup } from './markup.mjs';
import { balancingSection } from './sections/balancing.mjs';
import { breakingSection } from './sections/breaking.mjs';
import { adaptersSection, costSection, overheadSection } from './sections/cost.mjs';
import { goalsSection } from './sections/goals.mjs';
import { limitingSection } from './sections/limiting.mjs';
import { overloadSection } from './sections/overload.mjs';
import { retryingSection } from './sections/retrying.mjs';
import { style } from './style.mjs';

/** @typedef {import('./figure.mjs').Source} Source */
/** @typedef {import('./shortfalls.mjs').Shortfall} Shortfall */

/** In their order. @type {Readonly<Record<string, (source: Source, series: Source | undefined) => import('./markup.mjs').Markup>>} */
const sections = {
  balancing: balancingSection,
  limiting: limitingSection,
  breaking: breakingSection,
  retrying: retryingSection,
  overload: overloadSection,
  adapters: adaptersSection,
  cost: costSection,
  overhead: overheadSection,
};

/** @param {ReadonlyMap<string, Source>} sources */
function origins(sources) {
  const runs = [...sources.values()].flatMap((source) => source.runs ?? [source]);
  const files = new Map(runs.map(({ file, about }) => [file, about]));
  return html`<section id="origins"><h2>Where the figures come from</h2><ul>${[...files].map(
    ([
      file,
      about,
    ]) => html`<li><a href="${file}">${file}</a>: <code>${about.command}</code>, commit ${about.commit}${
      about.changed && ' with changes'
    }, ${about.date}, Node ${about.node}, ${about.machine}${about.quick && ', a quick run'}</li>
`,
  )}</ul></section>`;
}

/**
 * One page that needs nothing from anywhere else, and no script.
 *
 * @param {ReadonlyMap<string, Source>} sources
 * @param {Readonly<Record<string, Shortfall>>} reasons
 * @returns {string}
 */
export function page(sources, reasons) {
  const shown = Object.entries(sections).flatMap(([name, section]) => {
    const source = sources.get(name);
    return source === undefined ? [] : [{ name, content: section(source, sources.get('series')) }];
  });
  const quick = [...sources].filter(([, { about }]) => about.quick).map(([name]) => name);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>keelson: measurements</title><style>${new Markup(style)}</style></head><body>
<h1>keelson: measurements</h1>
<p>What the policies do beside others', in a simulation that gives the same numbers for the same seed, and on real servers; and what
they cost. Peers were written again from their sources, which the code names.</p>
${quick.length > 0 && html`<p class="warning">From quick runs, which show that everything works and nothing else: ${quick.join(', ')}.</p>`}
<nav aria-label="Sections"><ul>${['goals', ...shown.map(({ name }) => name), 'origins'].map(
    (name) => html`<li><a href="#${name}">${name}</a></li>`,
  )}</ul></nav>
<main>
${goalsSection(judgementsOf(sources), reasons)}${shown.map(({ content }) => content)}${origins(sources)}
</main></body></html>
`.text;
}
