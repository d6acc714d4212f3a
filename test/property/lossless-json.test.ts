import fc from 'fast-check';
import { parseLossless, stringifyLossless } from 'keelson/discovery';
import { describe, expect, it } from 'vitest';

const limit = 2n ** 53n;
/** Bigints that a number could hold come back as numbers. */
const wide = fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }).filter((n) => n >= limit || n <= -limit);
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n)),
    wide,
    fc.string({ unit: 'binary' }),
    fc.array(tie('value')),
    fc.dictionary(fc.oneof(fc.string({ unit: 'binary' }), fc.constant('__proto__')), tie('value'), {
      noNullPrototype: false,
    }),
  ),
})).value;

describe('lossless JSON', () => {
  it('parse after stringify gives the same value', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(parseLossless(stringifyLossless(value))).toEqual(value);
      }),
    );
  });

  it('agrees with JSON on all that JSON can say', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        // Through a text again, since an integer beyond 2^53 is a bigint here and rounded there.
        expect(JSON.parse(stringifyLossless(parseLossless(text)))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('throws nothing but SyntaxError, and accepts what JSON accepts and nothing else', () => {
    const damaged = fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 3 })).map(([text, at, put]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(place + put.length);
    });
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), damaged), (text) => {
        let ours: unknown;
        try {
          parseLossless(text);
        } catch (error) {
          ours = error;
        }
        let theirs: unknown;
        try {
          JSON.parse(text);
        } catch (error) {
          theirs = error;
        }
        if (ours !== undefined) expect(ours).toBeInstanceOf(SyntaxError);
        const tooLarge = ours instanceof SyntaxError && /beyond the range|nested deeper/.test(ours.message);
        if (!tooLarge) expect(ours === undefined).toBe(theirs === undefined);
      }),
      { numRuns: 1_000 },
    );
  });
});
