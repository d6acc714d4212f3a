import fc from 'fast-check';
import { exposition, meters } from 'keelson/meter';
import { describe, expect, it } from 'vitest';

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const number = '-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?';
const sample = new RegExp(`^${metricName}(?:\\{${label}(?:,${label})*\\})? ${number}$`);
const comment = new RegExp(
  `^# (?:TYPE ${metricName} (?:counter|gauge|histogram)|HELP ${metricName} [^\\n]*)$`,
);

describe('text', () => {
  it('is well formed and says nothing twice, whatever names, units and attributes are', async () => {
    const name = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_.\-/]{0,20}$/);
    const instrument = fc.record({
      name,
      unit: fc.oneof(fc.constantFrom('s', '1', 'By', '{x}/s'), fc.string({ maxLength: 5 })),
      description: fc.string({ unit: 'grapheme', maxLength: 20 }),
      kind: fc.constantFrom('counter', 'gauge', 'histogram'),
      points: fc.array(
        fc.dictionary(
          fc.string({ maxLength: 5 }),
          fc.oneof(fc.string({ unit: 'grapheme' }), fc.double(), fc.boolean(), fc.array(fc.string())),
        ),
        { maxLength: 4 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(instrument, { maxLength: 8 }), async (instruments) => {
        const provider = meters();
        const meter = provider.getMeter('m');
        for (const { name: called, unit, description, kind, points } of instruments)
          for (const attributes of points) {
            if (kind === 'counter') meter.createCounter(called, { unit, description }).add(1.5, attributes);
            else if (kind === 'gauge')
              meter.createGauge(called, { unit, description }).record(-2, attributes);
            else meter.createHistogram(called, { unit, description }).record(3, attributes);
          }
        const { body } = await exposition().render(await provider.collect());
        const lines = body.split('\n');
        expect(lines.pop()).toBe('');
        for (const line of lines) expect(line).toMatch(line.startsWith('#') ? comment : sample);
        const keys = lines.map((line) =>
          line.startsWith('#') ? line.split(' ', 3).join(' ') : line.slice(0, line.lastIndexOf(' ')),
        );
        expect(new Set(keys).size).toBe(keys.length);
      }),
    );
  });
});
