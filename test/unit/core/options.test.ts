import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { checkChoice, checkNumber, resolveOptions } from '../../../src/core/options.js';

const infinity = Number.POSITIVE_INFINITY;

describe('checkNumber', () => {
  it.each([
    [0, {}],
    [-1e300, {}],
    [1, { min: 1 }],
    [1, { max: 1 }],
    [1.0001, { above: 1 }],
    [3, { integer: true }],
    [infinity, { infinite: true }],
    [infinity, { infinite: true, max: 1, integer: true }],
  ])('%d is within %o', (value, bound) => {
    expect(checkNumber('x.y', value, bound)).toBe(value);
  });

  it.each([
    [Number.NaN, {}, 'x.y must be a number, got NaN'],
    [infinity, {}, 'x.y must be a number, got Infinity'],
    [Number.NEGATIVE_INFINITY, { infinite: true }, 'x.y must be a number or Infinity, got -Infinity'],
    [0.99, { min: 1 }, 'x.y must be a number >= 1, got 0.99'],
    [1, { above: 1 }, 'x.y must be a number > 1, got 1'],
    [2, { max: 1 }, 'x.y must be a number <= 1, got 2'],
    [1.5, { integer: true }, 'x.y must be a whole number, got 1.5'],
    [0, { integer: true, min: 1, max: 9 }, 'x.y must be a whole number >= 1 and <= 9, got 0'],
  ])('%d is not within %o', (value, bound, message) => {
    expect(() => checkNumber('x.y', value, bound)).toThrow(new RangeError(message));
  });

  it.each([
    ['5', 'got "5"'],
    [null, 'got null'],
    [undefined, 'got undefined'],
    [{}, 'got an object'],
    [[], 'got an array'],
    [true, 'got true'],
    [5n, 'got 5'],
    [Symbol('s'), 'got Symbol(s)'],
  ])('%s is no number', (value, message) => {
    expect(() => checkNumber('x.y', value, {})).toThrow(TypeError);
    expect(() => checkNumber('x.y', value, {})).toThrow(message);
  });
});

describe('checkChoice', () => {
  it('lets through what is allowed, and lists it for what is not', () => {
    expect(checkChoice('x.y', 'a', ['a', 'b'])).toBe('a');
    expect(() => checkChoice('x.y', 'c', ['a', 'b'])).toThrow(
      new RangeError('x.y must be one of "a", "b", got "c"'),
    );
    expect(() => checkChoice('x.y', 7, ['a', 'b'])).toThrow('got 7');
  });
});

describe('resolveOptions', () => {
  interface Sample {
    readonly size: number;
    readonly run: () => number;
    readonly strict: boolean;
    readonly name: string | undefined;
    readonly limit: number | undefined;
  }
  const one = () => 1;
  const defaults: Sample = { size: 5, run: one, strict: true, name: undefined, limit: undefined };
  const resolve = (given: unknown) =>
    resolveOptions('x', defaults, given as Partial<Sample>, { size: { min: 1 }, limit: { min: 1 } });

  it('lays what was given over the defaults, and touches neither', () => {
    const given = Object.freeze({ size: 9, name: 'n' });
    const resolved = resolve(given);
    expect(resolved).toEqual({ ...defaults, size: 9, name: 'n' });
    expect(resolved).not.toBe(given);
    expect(defaults.size).toBe(5);
  });

  it.each([undefined, {}, { size: undefined, run: undefined, name: undefined }])(
    '%o is all defaults',
    (given) => {
      expect(resolve(given)).toEqual(defaults);
      expect(resolve(given)).not.toBe(defaults);
    },
  );

  it.each([
    [
      { sise: 1 },
      TypeError,
      'x.sise is not an option: did you mean size? There are size, run, strict, name, limit',
    ],
    [{ colour: 1 }, TypeError, 'x.colour is not an option; there are size, run, strict, name, limit'],
    [{ toString: 1 }, TypeError, 'x.toString is not an option'],
    [JSON.parse('{"__proto__":1}'), TypeError, 'x.__proto__ is not an option'],
    [{ sise: undefined }, TypeError, 'x.sise is not an option'],
    [{ size: 0 }, RangeError, 'x.size must be a number >= 1, got 0'],
    [{ size: '1' }, TypeError, 'x.size must be a number >= 1, got "1"'],
    [{ size: null }, TypeError, 'x.size must be a number >= 1, got null'],
    [{ limit: 0 }, RangeError, 'x.limit'],
    [{ run: 5 }, TypeError, 'x.run must be a function, got 5'],
    [{ size: one }, TypeError, 'x.size must be a number >= 1, got the function one'],
    [{ strict: 'yes' }, TypeError, 'x.strict must be a boolean, got "yes"'],
    [null, TypeError, 'x: options must be an object, got null'],
    [7, TypeError, 'x: options must be an object, got 7'],
    ['size', TypeError, 'x: options must be an object, got "size"'],
    [() => 1, TypeError, 'x: options must be an object'],
    [[1], TypeError, 'x: options must be an object, got an array'],
  ])('%o is refused', (given, kind, message) => {
    expect(() => resolve(given)).toThrow(kind);
    expect(() => resolve(given)).toThrow(message);
  });
});
