// What tracing costs a server: requests per second, CPU time per request with all that is sent of it, and the p99 at a rate
// that all of them can answer.
import { quantile, shuffled } from '../harness.mjs';
import { markdown } from '../table.mjs';
import { Child } from './child.mjs';
import { servers } from './contenders.mjs';

/** @typedef {{ perSecond: number[], cpuUs: number[], p50: number[], p99: number[], openCpuUs: number[], answered: number }} Figures */

/** @param {readonly number[]} values */
const median = (values) => quantile(values, 0.5);
const fixed = (/** @type {number} */ value, digits = 1) =>
  Number.isFinite(value) ? value.toFixed(digits) : '–';

/**
 * @param {Child} server
 * @param {() => Promise<{ answered: number, seconds: number, p50?: number, p99?: number }>} load
 */
async function leg(server, load) {
  const before = await server.ask({ ask: 'cpu' });
  const figures = await load();
  // What is recorded has to leave, too.
  const after = await server.ask({ ask: 'flush' });
  return { ...figures, cpuUs: ((after.cpuMs - before.cpuMs) * 1000) / figures.answered };
}

/** @param {{ quick: boolean, tell: (text: string) => void }} how */
export async function httpCost({ quick, tell }) {
  const collector = new Child('collector.mjs');
  const load = new Child('load.mjs');
  const { port } = await collector.ready;
  const all = servers(`http://127.0.0.1:${port}`);
  const running = await Promise.all(
    all.map(async (contender) => {
      const child = new Child('server.cjs', contender);
      return { ...contender, child, port: (await child.ready).port };
    }),
  );
  /** @type {Map<string, Figures>} */
  const figures = new Map(
    all.map(({ id }) => [id, { perSecond: [], cpuUs: [], p50: [], p99: [], openCpuUs: [], answered: 0 }]),
  );
  // Counted and not timed: on a busy machine the code would else be cold.
  const plan = { connections: 16, count: quick ? 500 : 8000 };
  const warming = { ...plan, count: quick ? 500 : 30_000 };
  try {
    for (const { id, child, port: at } of running) {
      const warm = await leg(child, () => load.ask({ port: at, ...warming }));
      /** @type {Figures} */ (figures.get(id)).answered += warm.answered;
    }
    let perSecond = Number.POSITIVE_INFINITY;
    for (let round = 0; round < (quick ? 2 : 12); round++) {
      tell(`http: round ${round + 1}`);
      for (const { id, child, port: at } of shuffled(running)) {
        const closed = await leg(child, () => load.ask({ port: at, ...plan }));
        const of = /** @type {Figures} */ (figures.get(id));
        of.answered += closed.answered;
        of.perSecond.push(closed.answered / closed.seconds);
        of.cpuUs.push(closed.cpuUs);
      }
      // Half of what the slowest can do, found in the first round.
      if (round === 0)
        perSecond = Math.floor(Math.min(...[...figures.values()].map((of) => Number(of.perSecond[0]))) / 2);
      for (const { id, child, port: at } of shuffled(running)) {
        const open = await leg(child, () =>
          load.ask({ port: at, ...plan, count: Math.min(plan.count, 2 * perSecond), perSecond }),
        );
        const of = /** @type {Figures} */ (figures.get(id));
        of.answered += open.answered;
        of.p50.push(Number(open.p50));
        of.p99.push(Number(open.p99));
        of.openCpuUs.push(open.cpuUs);
      }
    }
    const arrived = await collector.ask({ ask: 'tally' });
    return report({ all, figures, perSecond, arrived });
  } finally {
    for (const { child } of running) await child.close();
    await load.close();
    await collector.close();
  }
}

/** The median of what is added to the bare server's, round by round. @param {readonly number[]} of @param {readonly number[]} bare */
const added = (of, bare) => median(of.map((value, round) => value - /** @type {number} */ (bare[round])));

/** @param {{ all: readonly import('./contenders.mjs').Contender[], figures: Map<string, Figures>, perSecond: number, arrived: Record<string, { spans: number }> }} run */
function report({ all, figures, perSecond, arrived }) {
  const bare = /** @type {Figures} */ (figures.get('bare'));
  const stock = /** @type {Figures} */ (figures.get('stock'));
  const rows = all.map(({ id, name }) => {
    const of = /** @type {Figures} */ (figures.get(id));
    const cpuAdded = added(of.cpuUs, bare.cpuUs);
    return {
      id,
      name,
      perSecond: median(of.perSecond),
      cpuUs: median(of.cpuUs),
      cpuAddedUs: cpuAdded,
      ofStock: cpuAdded / added(stock.cpuUs, bare.cpuUs),
      p50: median(of.p50),
      p99: median(of.p99),
      openCpuAddedUs: added(of.openCpuUs, bare.openCpuUs),
      openOfStock: added(of.openCpuUs, bare.openCpuUs) / added(stock.openCpuUs, bare.openCpuUs),
      spans: arrived[id]?.spans ?? 0,
      answered: of.answered,
    };
  });
  const percent = (/** @type {number} */ share) => `${fixed(share * 100, 0)} %`;
  const text = markdown(
    [
      'server',
      'requests/s',
      'CPU µs/request',
      'added',
      'of stock',
      'at a rate: added',
      'of stock',
      'p50 ms',
      'p99 ms',
      'spans arrived',
    ],
    rows.map((row) => [
      row.name,
      row.perSecond.toFixed(0),
      fixed(row.cpuUs),
      fixed(row.cpuAddedUs),
      row.id === 'bare' ? '' : percent(row.ofStock),
      fixed(row.openCpuAddedUs),
      row.id === 'bare' ? '' : percent(row.openOfStock),
      fixed(row.p50, 2),
      fixed(row.p99, 2),
      row.spans === 0 ? '' : percent(row.spans / row.answered),
    ]),
  );
  const ours = rows.find(({ id }) => id === 'all');
  const [closed, open] = [Number(ours?.ofStock), Number(ours?.openOfStock)];
  const goal = `Goal: exporting all, CPU time added is less than half of what stock auto-instrumentation adds: ${percent(closed)} as fast as it goes, ${percent(open)} at ${perSecond} requests/s: ${closed < 0.5 && open < 0.5 ? 'met' : 'MISSED'}.`;
  return {
    text: `${text}\n\n"At a rate": ${perSecond} requests/s in an open loop, p50 and p99 too. What did not arrive was lost by its own side.\n\n${goal}`,
    json: { http: { perSecond, rows } },
  };
}
