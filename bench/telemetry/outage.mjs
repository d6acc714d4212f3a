// What is lost while the collector is away, beside the stock SDK in the same run.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { markdown } from '../table.mjs';
import { Child } from './child.mjs';
import { keelson, stockSdk } from './contenders.mjs';

const seconds = (/** @type {number} */ s) => new Promise((resolve) => setTimeout(resolve, s * 1000));
const megabytes = (/** @type {number} */ bytes) => (bytes / 1_048_576).toFixed(0);

/** How long it takes to send so many spans from the disk: compressed they have about 60 bytes, and 1 MiB is read each second. */
const replayS = (/** @type {number} */ spans) => (spans * 60) / 1_048_576;

/** @param {Readonly<Record<string, number>>} losses */
const byReason = (losses) =>
  Object.entries(losses)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ') || 'none';

/** What is missing and was not told of: with a spool it lies there. @param {Awaited<ReturnType<typeof outage>>[number]} row */
function silent({ made, arrived, losses, spool, id }) {
  const missing = made - arrived - Object.values(losses).reduce((sum, count) => sum + count, 0);
  return `${missing}${spool && id !== 'stock' && missing > 0 ? ' on disk' : ''}`;
}

/** @param {{ perSecond: number, awayS: number, comesBack: boolean, spool: boolean, beforeS: number, afterS: number }} plan */
async function outage({ perSecond, awayS, comesBack, spool, beforeS, afterS }) {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-outage-'));
  const collector = new Child('collector.mjs');
  const { port } = await collector.ready;
  const endpoint = `http://127.0.0.1:${port}`;
  const ours = { KEELSON_SAMPLING: 'always', ...(spool && { KEELSON_SPOOL_DIR: folder }) };
  const contenders = [
    keelson(endpoint, 'all', spool ? 'keelson with a spool' : 'keelson', ours),
    { ...stockSdk(endpoint, { BENCH_INSTRUMENT: 'none' }), name: 'stock SDK' },
  ];
  const running = contenders.map((contender) => ({ ...contender, child: new Child('maker.mjs', contender) }));
  try {
    const each = (/** @type {object} */ message) =>
      Promise.all(running.map(({ child }) => child.ask(message)));
    await each({ ask: 'start', perSecond });
    await seconds(beforeS);
    const calm = await each({ ask: 'delays' });
    await collector.ask({ ask: 'away' });
    await seconds(awayS);
    if (comesBack) {
      await collector.ask({ ask: 'back' });
      await seconds(afterS + (spool ? replayS(perSecond * awayS) : 0));
    }
    const busy = await each({ ask: 'stop' });
    const ended = await each({ ask: 'shutdown' });
    if (comesBack) await seconds(1);
    const arrived = await collector.ask({ ask: 'tally' });
    return running.map(({ id, name }, at) => ({
      id,
      name,
      perSecond,
      awayS,
      comesBack,
      spool,
      made: ended[at].made,
      arrived: arrived[id]?.spans ?? 0,
      grownBytes: ended[at].topBytes - calm[at].residentBytes,
      delayMs: busy[at].delayMs,
      losses: ended[at].losses,
      shutdownMs: ended[at].ms,
      said: running[at]?.child.said.trim().split('\n').length ?? 0,
    }));
  } finally {
    for (const { child } of running) await child.close();
    await collector.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {{ quick: boolean, tell: (text: string) => void, perSecond?: number, awayS?: number | undefined }} how */
export async function outages({ quick, tell, perSecond = 1_000, awayS }) {
  const usual = { perSecond, comesBack: true, spool: true, beforeS: quick ? 2 : 5, afterS: quick ? 4 : 15 };
  const flood = { ...usual, perSecond: 10_000, awayS: 60 };
  const plans =
    awayS !== undefined
      ? [true, false].map((spool) => ({ ...usual, awayS, spool }))
      : quick
        ? [{ ...usual, awayS: 3 }]
        : [
            { ...usual, awayS: 15 },
            { ...usual, awayS: 60 },
            { ...usual, awayS: 60, spool: false },
            { ...usual, awayS: 5, comesBack: false },
            flood,
            { ...flood, spool: false },
          ];
  /** @type {Awaited<ReturnType<typeof outage>>} */
  const rows = [];
  for (const plan of plans) {
    tell(`outage: ${plan.perSecond} spans/s, ${plan.awayS} s${plan.comesBack ? '' : ', for good'}`);
    rows.push(...(await outage(plan)));
  }
  const text = markdown(
    [
      '',
      'spans/s',
      'collector away',
      'made',
      'arrived',
      'lost and told of',
      'lost in silence',
      'memory grew by, MB',
      'event loop late by, p99 and most, ms',
      'shutdown, ms',
    ],
    rows.map((row) => [
      row.name,
      String(row.perSecond),
      row.comesBack ? `${row.awayS} s` : `${row.awayS} s and for good`,
      String(row.made),
      String(row.arrived),
      byReason(row.losses),
      silent(row),
      megabytes(row.grownBytes),
      `${row.delayMs.p99.toFixed(1)}, ${row.delayMs.max.toFixed(0)}`,
      row.shutdownMs.toFixed(0),
    ]),
  );
  return { text, json: { outage: rows } };
}
