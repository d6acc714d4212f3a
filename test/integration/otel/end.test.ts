import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { telemetry } from 'keelson/otel';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { pass } from '../../doubles/http-double.js';
import type { Tree } from '../../doubles/otlp-schema.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';

const collectors: ScriptedCollector[] = [];
afterEach(async () => {
  for (const api of [trace, metrics, propagation, context]) api.disable();
  for (const collector of collectors.splice(0)) await collector.stop();
});

async function startCollector(): Promise<ScriptedCollector> {
  const collector = await new ScriptedCollector().start();
  collectors.push(collector);
  return collector;
}

describe('a shutdown whose spans get nowhere', () => {
  it('has counted and told them when it resolves, and the metrics, which have a share of the time, say so', async () => {
    const collector = await startCollector();
    collector.usual = ({ path }) => (path.endsWith('/traces') ? 'hang' : 'ok');
    const clock = manualClock();
    const warnings: string[] = [];
    const t = telemetry({
      service: 'shop',
      endpoint: collector.url,
      sampling: { mode: 'always' },
      shutdownTimeoutMs: 2_000,
      warn: (line) => warnings.push(line),
      clock,
    });
    for (let count = 0; count < 12; count++) trace.getTracer('user').startSpan('s').end();
    const began = clock.now();
    let told: unknown;
    const closed = t.shutdown().then(() => {
      told = { lost: t.losses()['shutdown'], lines: warnings.length };
    });
    await pass(clock, 4_000, () => told !== undefined);
    await closed;
    expect(told).toEqual({ lost: 12, lines: 1 });
    expect(clock.now() - began).toBeLessThanOrEqual(2_100);
    const lost = collector.metrics.find(({ name }) => name === 'keelson.telemetry.spans.lost');
    const reasonOf = ({ attributes }: Tree): unknown => attributes?.[0]?.value?.stringValue;
    const point = lost?.sum.dataPoints.find((one: Tree) => reasonOf(one) === 'shutdown');
    expect(Number(point?.asDouble ?? point?.asInt)).toBe(12);
  });
});

describe('the listener of the exit of a process', () => {
  it('is there while there are spans to lose, and no longer', async () => {
    const collector = await startCollector();
    const count = (): number => process.listenerCount('exit');
    const before = count();
    const none = telemetry({ service: 'shop' });
    expect(count()).toBe(before);
    await none.shutdown();
    const t = telemetry({ service: 'shop', endpoint: collector.url, metrics: false });
    expect(count()).toBe(before + 1);
    await t.shutdown();
    expect(count()).toBe(before);
  });
});
