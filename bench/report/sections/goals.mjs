import { html } from '../markup.mjs';

/** @typedef {import('../judgements.mjs').Judgement} Judgement */
/** @typedef {import('../shortfalls.mjs').Shortfall} Shortfall */

const looks = { holds: 'holds', 'falls short': 'short', 'not judged': 'unjudged' };

/** @param {Shortfall | undefined} reason */
const whyOf = (reason) =>
  reason === undefined
    ? html`<span class="why">No reason has been written for this yet.</span>`
    : html`<span class="why">Why: ${reason.why} Tried: ${reason.tried}</span>`;

/** @param {readonly Judgement[]} judgements @param {Readonly<Record<string, Shortfall>>} reasons */
export function goalsSection(judgements, reasons) {
  /** @param {Judgement['verdict']} verdict */
  const count = (verdict) => judgements.filter((one) => one.verdict === verdict).length;
  const parts = [...new Set(judgements.map(({ part }) => part))];
  return html`<section id="goals"><h2>Goals</h2>
<p>${count('holds')} hold, ${count('falls short')} fall short, ${count('not judged')} are not judged: quick runs are not, and
neither is what other guests of the machine disturbed.</p>
${parts.map(
  (part) =>
    html`<h3>${part}</h3><ul class="goals">${judgements
      .filter((one) => one.part === part)
      .map(
        ({
          id,
          what,
          on,
          verdict,
          found,
        }) => html`<li><span class="${looks[verdict]}">${verdict}</span> · ${on}: ${what} · found: ${found}${
          verdict === 'falls short' && whyOf(reasons[id])
        }</li>
`,
      )}</ul>`,
)}</section>
`;
}
