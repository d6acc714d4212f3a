import { type HeaderSource, spanExporter } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { expect, it } from 'vitest';
import { endedSpan } from '../../doubles/ended-spans.js';
import { pass, until } from '../../doubles/http-double.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';

it.each([
  ['a name that cannot be', { 'a b': 'c' }, '["a b"] is no header'],
  ['a value that cannot be', { key: 'secret\n' }, '["key"] is no header'],
  ['nothing', undefined, ' must be an object of headers'],
])(
  'headers from a function: %s is told once, and what waits is sent with the next ones',
  async (_, bad, why) => {
    const collector = await new ScriptedCollector().start();
    const clock = manualClock();
    const warnings: string[] = [];
    const asked: unknown[] = [];
    const given: { headers: unknown } = { headers: bad };
    const headers = (() => {
      asked.push(given.headers);
      return given.headers;
    }) as HeaderSource;
    const warn = (line: string): void => void warnings.push(line);
    const exporter = spanExporter({ endpoint: collector.url, clock, headers, warn });
    try {
      exporter.accept(endedSpan());
      await pass(clock, 20_000, () => asked.length >= 2);
      expect(asked.length).toBeGreaterThanOrEqual(2);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain(`keelson: no spans are sent with such headers: headers()${why}`);
      expect(warnings[0]).not.toContain('secret');
      given.headers = { key: 'good' };
      await pass(clock, 60_000, () => exporter.stats().sentSpans === 1);
      await until(() => exporter.stats().sentSpans === 1);
      expect(collector.requests.map((request) => request.headers['key'])).toEqual(['good']);
    } finally {
      const closed = exporter.close(100);
      await pass(clock, 200);
      await closed;
      await collector.stop();
    }
  },
);
