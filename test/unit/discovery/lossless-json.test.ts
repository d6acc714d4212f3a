import { parseLossless, stringifyLossless } from 'keelson/discovery';
import { describe, expect, it } from 'vitest';

describe('parse', () => {
  it.each([
    ['0', 0],
    ['-0', -0],
    ['-1.5e3', -1500],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9007199254740993', -9007199254740993n],
    ['1763800000000000001', 1763800000000000001n],
    ['1763800000000000001.0', 1763800000000000000],
    ['1e21', 1e21],
    ['"\\u00e9\\n\\"\\\\"', 'é\n"\\'],
    ['"\\ud83d"', '\ud83d'],
    [' [ 1 , "a" , null , true , false ] ', [1, 'a', null, true, false]],
    ['{}', {}],
    ['[]', []],
    [' { "a" : { "b" : [ ] } } ', { a: { b: [] } }],
    ['{"a":1,"a":2}', { a: 2 }],
  ])('%s', (text, value) => {
    expect(parseLossless(text)).toEqual(value);
  });

  it.each([
    ['', /unexpected end in JSON at offset 0/],
    ['<html>', /unexpected "<" in JSON at offset 0/],
    ['{"a":1', /unexpected end in JSON at offset 6/],
    ['{"a" 1}', /unexpected "1" in JSON at offset 5/],
    ['{"a":1,}', /unexpected "}" in JSON at offset 7/],
    ['{a:1}', /unexpected "a" in JSON at offset 1/],
    ['[1,]', /unexpected "]" in JSON at offset 3/],
    ['[1 2]', /unexpected "2" in JSON at offset 3/],
    ['01', /unexpected "1" in JSON at offset 1/],
    ['+1', /unexpected "\+"/],
    ['.5', /unexpected "\."/],
    ['1.', /unexpected "\." in JSON at offset 1/],
    ['-', /unexpected "-"/],
    ['NaN', /unexpected "N"/],
    ['tru', /unexpected "t"/],
    ['"a', /unexpected end/],
    ['"a\nb"', /unexpected "\\n" in JSON at offset 2/],
    ['"\\x"', /bad escape in the JSON string at offset 0/],
    ['"\\', /unexpected end|bad escape/],
    ['\u00a01', /unexpected/],
    ['1 2', /unexpected "2" in JSON at offset 2/],
    ['1e999', /beyond the range of a double/],
    ['9'.repeat(1_001), /integer of more than 1000 digits/],
    ['['.repeat(1_000_000), /nested deeper than 100/],
    ['{"a":'.repeat(102), /nested deeper than 100/],
  ])('refuses %.20s', (text, message) => {
    expect(() => parseLossless(text)).toThrow(SyntaxError);
    expect(() => parseLossless(text)).toThrow(message);
  });

  it('takes 100 levels', () => {
    expect(() => parseLossless('['.repeat(100) + ']'.repeat(100))).not.toThrow();
  });

  it('lets no key reach a prototype', () => {
    const value = parseLossless('{"__proto__":{"polluted":1},"constructor":2}') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe('stringify', () => {
  it.each([
    [{ a: 1763800000000000001n, b: [-1n] }, '{"a":1763800000000000001,"b":[-1]}'],
    [{ a: undefined, b: () => 1, c: Symbol('c') }, '{}'],
    [[undefined, Number.NaN, Number.POSITIVE_INFINITY], '[null,null,null]'],
    [-0, '-0'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ['\ud800"', '"\\ud800\\""'],
  ])('%o', (value, text) => {
    expect(stringifyLossless(value)).toBe(text);
  });

  it('refuses what has no form, and cycles', () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => stringifyLossless(undefined)).toThrow(/undefined has no JSON form/);
    expect(() => stringifyLossless(cycle)).toThrow(/nested deeper than 100, or a cycle/);
  });
});
