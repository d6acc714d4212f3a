// What a server still does when more is asked of it than it can do: real servers in processes of their own, under what
// protects them or does not. README.md tells how it is judged.
import { full, quickly } from './overload/plan.mjs';
import { rejectCost, rejectCostText } from './overload/reject-cost.mjs';
import { overloadText } from './overload/report.mjs';
import { Run } from './overload/run.mjs';

/** @param {import('./parts.mjs').PartOptions} options @returns {Promise<import('./parts.mjs').PartResult>} */
export async function overload({ quick, tell }) {
  tell('overload: what a refusal costs');
  const cost = await rejectCost({ quick });
  const run = new Run(quick ? quickly : full, tell);
  await run.all();
  const { legs, bare } = run;
  return {
    text: [rejectCostText(cost), overloadText(run)].join('\n\n'),
    json: { overload: { rejectCost: cost, bare, legs } },
  };
}
