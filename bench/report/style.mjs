/** Hues are told apart with any eyes, on light and on dark; lines differ in their dashes as well. */
export const style = `
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1a; --soft: #5f5e5a; --line: #dcdad4; --raised: #f6f5f2;
  --t1: #2a78d6; --t2: #d2571b; --t3: #15875f; --t4: #4a3aa7; --t5: #b07800; --t6: #c8407d; --t7: #d03b3b; --t8: #75736c;
  --peer: #a8a69e; --good: #16724f; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --page: #181817; --ink: #eceae4; --soft: #a9a79f; --line: #3a3936; --raised: #232220;
  --t1: #5a9cec; --t2: #ee8250; --t3: #2fb585; --t4: #a195ee; --t5: #d9a42a; --t6: #e87aab; --t7: #ef7070; --t8: #9a988f;
  --peer: #6b6963; --good: #4cc596; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { line-height: 1.2; } h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
p, li { max-width: 46rem; } a { color: var(--t1); } code { font-size: .9em; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; }
.charts { display: grid; gap: 1.5rem 2rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr)); }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; margin-bottom: .25rem; }
svg { display: block; width: 100%; height: auto; max-width: 36rem; font: 11px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .value { fill: var(--ink); paint-order: stroke; stroke: var(--page); stroke-width: 3px; stroke-linejoin: round; } svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); }
svg .rule { stroke: var(--ink); stroke-dasharray: 2 3; } svg .band { fill: var(--raised); }
svg polyline { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-linejoin: round; } svg .ours { stroke-width: 2.8; }
svg .range { stroke: var(--ink); stroke-width: 1.5; }
svg circle { fill: var(--c); } svg rect.bar { fill: var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; list-style: none; padding: 0; margin: .25rem 0; font-size: .85rem; }
.legend svg { display: inline-block; width: 1.6rem; vertical-align: middle; margin-right: .35rem; }
.t1 { --c: var(--t1); } .t2 { --c: var(--t2); } .t3 { --c: var(--t3); } .t4 { --c: var(--t4); }
.t5 { --c: var(--t5); } .t6 { --c: var(--t6); } .t7 { --c: var(--t7); } .t8 { --c: var(--t8); } .peer { --c: var(--peer); }
.source { color: var(--soft); font-size: .8rem; margin: .25rem 0 1rem; max-width: none; }
.scroll { overflow-x: auto; max-width: 100%; overflow-wrap: normal; margin: 1rem 0 .25rem; }
.scroll:focus-visible { outline: 2px solid var(--t1); }
table { border-collapse: collapse; font-size: .85rem; } caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .6rem; text-align: right; vertical-align: top; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } tbody th { font-weight: 400; position: sticky; left: 0; background: var(--page); }
tr.ours th { font-weight: 700; color: var(--t1); }
.goals li { margin-bottom: .35rem; max-width: 64rem; } .goals { list-style: none; padding: 0; }
.holds, .short, .unjudged { font-weight: 700; } .holds { color: var(--good); } .short { color: var(--bad); } .unjudged { color: var(--soft); }
.goals .why { display: block; color: var(--soft); font-size: .9rem; }
.goals .missing { color: var(--page); background: var(--bad); font-weight: 700; padding: .1rem .4rem; }
 .warning { border-left: 4px solid var(--bad); padding-left: .75rem; }
@media (max-width: 34rem) { tbody th { max-width: 9rem; white-space: normal; } }
`;
