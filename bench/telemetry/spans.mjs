// What a span costs from its start until the collector has it: bytes and CPU time.
import { quantile, shuffled } from '../harness.mjs';
import { markdown } from '../table.mjs';
import { Child } from './child.mjs';
import { keelson, stockSdk } from './contenders.mjs';

/** @param {{ quick: boolean, tell: (text: string) => void }} how */
export async function spanCost({ quick, tell }) {
  const collector = new Child('collector.mjs');
  const { port } = await collector.ready;
  const endpoint = `http://127.0.0.1:${port}`;
  const quiet = { BENCH_INSTRUMENT: 'none' };
  const contenders = [
    keelson(endpoint, 'all', 'keelson', { KEELSON_SAMPLING: 'always' }),
    { ...stockSdk(endpoint, quiet), name: 'SDK, batch processor, OTLP protobuf' },
  ];
  const running = contenders.map((contender) => ({ ...contender, child: new Child('maker.mjs', contender) }));
  /** @type {Map<string, number[]>} */
  const cpu = new Map(contenders.map(({ id }) => [id, []]));
  try {
    for (let round = 0; round < (quick ? 2 : 8); round++) {
      tell(`spans: round ${round + 1}`);
      for (const { id, child } of shuffled(running)) {
        const before = await child.ask({ ask: 'cpu' });
        await child.ask({ ask: 'start', perSecond: 2000 });
        await new Promise((resolve) => setTimeout(resolve, quick ? 500 : 3000));
        await child.ask({ ask: 'stop' });
        const after = await child.ask({ ask: 'flush' });
        // The first warms up.
        if (round > 0) cpu.get(id)?.push(((after.cpuMs - before.cpuMs) * 1000) / (after.made - before.made));
      }
    }
    const made = Object.fromEntries(
      await Promise.all(running.map(async ({ id, child }) => [id, (await child.ask({ ask: 'cpu' })).made])),
    );
    const arrived = await collector.ask({ ask: 'tally' });
    const rows = contenders.map(({ id, name }) => ({
      id,
      name,
      cpuUs: quantile(cpu.get(id) ?? [], 0.5),
      bytes: arrived[id].bytes / arrived[id].spans,
      perRequest: arrived[id].spans / arrived[id].requests,
      lost: made[id] - arrived[id].spans,
    }));
    const text = markdown(
      ['2 000 spans/s, ten attributes, gzip', 'CPU µs/span', 'bytes/span', 'spans/request', 'lost'],
      rows.map((row) => [
        row.name,
        row.cpuUs.toFixed(1),
        row.bytes.toFixed(1),
        row.perRequest.toFixed(0),
        String(row.lost),
      ]),
    );
    return { text, json: { spans: rows } };
  } finally {
    for (const { child } of running) await child.close();
    await collector.close();
  }
}
