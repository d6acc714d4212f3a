import { html } from '../markup.mjs';
import { reasonFor } from '../shortfalls.mjs';

/** @typedef {import('../judgements.mjs').Judgement} Judgement */
/** @typedef {import('../shortfalls.mjs').Shortfall} Shortfall */

const looks = { holds: 'holds', 'falls short': 'short', 'not judged': 'unjudged' };

/** @param {Shortfall | undefined} reason */
const whyOf = (reason) =>
  reason === undefined
    ? html`<span class="why missing">NO REASON GIVEN: it is missing in bench/report/shortfalls.mjs.</span>`
    : html`<span class="why">Why: ${reason.why} Tried: ${reason.tried}</span>`;

/** What is to be looked at comes first. @type {readonly Judgement['verdict'][]} */
const order = ['falls short', 'not judged', 'holds'];

/** @param {Judgement} judgement */
const isKeptBack = ({ on, what }) => on === 'kept back' || what.startsWith('kept back');

/** @param {readonly Judgement[]} judgements @param {Readonly<Record<string, Shortfall>>} reasons */
const list = (judgements, reasons) =>
  html`<ul class="goals">${order.flatMap((verdict) =>
    judgements
      .filter((one) => one.verdict === verdict)
      .map(
        (one) =>
          html`<li><span class="${looks[verdict]}">${verdict}</span> · ${one.on}: ${one.what} · found: ${one.found}${
            verdict === 'falls short' && whyOf(reasonFor(reasons, one))
          }</li>
`,
      ),
  )}</ul>`;

/** @param {readonly Judgement[]} judgements @param {Readonly<Record<string, Shortfall>>} reasons */
export function goalsSection(judgements, reasons) {
  /** @param {Judgement['verdict']} verdict */
  const count = (verdict) => judgements.filter((one) => one.verdict === verdict).length;
  const parts = [...new Set(judgements.map(({ part }) => part))];
  return html`<section id="goals"><h2>Goals</h2>
<p>${count('holds')} hold, ${count('falls short')} fall short, ${count('not judged')} are not judged: quick runs are not, and
neither is what other guests of the machine disturbed. Where constants were chosen the aims count, on what was kept back from
that the least that is accepted. Of what was kept back of balancing three were looked at since: many-threads and skewed-clients at 0.7
when reports longer than their call were left out of what is usual, overload at 1.05 when a bound on second copies was tried and not
taken.</p>
${parts.map((part) => {
  const here = judgements.filter((one) => one.part === part);
  const kept = here.filter(isKeptBack);
  if (kept.length === 0) return html`<h3>${part}</h3>${list(here, reasons)}`;
  const chosen = here.filter((one) => !isKeptBack(one));
  return html`<h3>${part}, where constants were chosen</h3>${list(chosen, reasons)}<h3>${part}, kept back</h3>${list(kept, reasons)}`;
})}</section>
`;
}
