import { trace } from '@opentelemetry/api';
import { type Telemetry, telemetry } from 'keelson/otel';
import { manualClock } from 'keelson/testing';
import { afterEach, expect, it } from 'vitest';

const made: Telemetry[] = [];
afterEach(async () => {
  for (const t of made.splice(0)) await t.shutdown();
  trace.disable();
});

it('spans lost on any way are in one metric by reason, and in one line an interval', async () => {
  const clock = manualClock();
  const warnings: string[] = [];
  const t = telemetry({
    service: 'shop',
    clock,
    warn: (line) => warnings.push(line),
    sampling: { mode: 'always' },
    limits: { maxTraceSpans: 3 },
    metrics: true,
    exporter: {
      export: (_: never, done: (result: { code: number }) => void) => done({ code: 1 }),
      shutdown: () => Promise.resolve(),
    },
  });
  made.push(t);
  const request = (children: number): void =>
    trace.getTracer('user').startActiveSpan('request', (first) => {
      for (let count = 0; count < children; count++) trace.getTracer('user').startSpan('child').end();
      first.end();
    });
  request(6);
  await clock.advance(2_000);
  expect(t.losses()).toMatchObject({ export_failed: 3, trace_limit: 4, sink_failed: 0, shutdown: 0 });
  const { body } = await t.metricsText();
  for (const [reason, count] of [
    ['export_failed', 3],
    ['trace_limit', 4],
    ['trace_memory_full', 0],
  ])
    expect(body).toMatch(
      new RegExp(`^keelson_telemetry_spans_lost_total\\{[^}]*reason="${reason}"[^}]*\\} ${count}$`, 'm'),
    );
  await clock.advance(60_000);
  expect(warnings).toEqual(['keelson: 7 spans lost (export_failed 3, trace_limit 4)']);
  await clock.advance(600_000);
  expect(warnings.length).toBe(1);
  request(4);
  const closed = t.shutdown();
  await clock.advance(10);
  await closed;
  expect(warnings.slice(1)).toEqual(['keelson: 5 spans lost (export_failed 3, trace_limit 2)']);
  expect(clock.pending).toBe(0);
});
