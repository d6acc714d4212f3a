import fc from 'fast-check';
import {
  formatBaggage,
  formatTraceparent,
  parseBaggage,
  parseTraceparent,
  parseTracestate,
} from 'keelson/telemetry';
import { describe, expect, it } from 'vitest';

const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''))
    .filter((id) => !/^0+$/.test(id));
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const tokens = fc
  .array(fc.constantFrom(..."abcXYZ019!#$%&'*+.^_`|~-"), { minLength: 1, maxLength: 12 })
  .map((letters) => letters.join(''));

describe('headers', () => {
  it('a traceparent that was written is read as it was', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.integer({ min: 0, max: 3 }), (traceId, spanId, traceFlags) => {
        const parent = { traceId, spanId, traceFlags };
        expect(parseTraceparent(formatTraceparent(parent))).toEqual(parent);
      }),
    );
  });

  it('a baggage that was written is read as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ key: tokens, value: text }), { maxLength: 20 }), (members) => {
        expect(parseBaggage(formatBaggage(members))).toEqual(members);
      }),
    );
  });

  it('whatever is received, reading never throws, and what is written again is stable', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), text), (header) => {
        parseTraceparent(header);
        const state = parseTracestate(header)?.serialize();
        expect(parseTracestate(state)?.serialize()).toBe(state);
        const once = formatBaggage(parseBaggage(header));
        expect(formatBaggage(parseBaggage(once))).toBe(once);
        // Whatever went in, what goes out is fit for a header.
        expect(once).toMatch(/^[\x21-\x7e]*$/);
      }),
    );
  });
});
