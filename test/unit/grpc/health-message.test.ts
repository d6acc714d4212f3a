import fc from 'fast-check';
import { healthDefinition, servingStatus } from 'keelson/grpc';
import { describe, expect, it } from 'vitest';

const { Check } = healthDefinition;
const readRequest = (...bytes: number[]) => Check.requestDeserialize(Buffer.from(bytes));
const readResponse = (...bytes: number[]) => Check.responseDeserialize(Buffer.from(bytes));

describe('a question', () => {
  it.each([
    ['', []],
    ['a.B', [0x0a, 3, 0x61, 0x2e, 0x42]],
    ['\u00e9', [0x0a, 2, 0xc3, 0xa9]],
  ])('for %j is written as protobuf does', (service, bytes) => {
    expect([...Check.requestSerialize({ service })]).toEqual(bytes);
    expect(readRequest(...bytes)).toEqual({ service });
  });

  it('of any name is read as it was written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (service) => {
        expect(Check.requestDeserialize(Check.requestSerialize({ service }))).toEqual({ service });
      }),
    );
  });

  it.each([
    ['a field of later times, a number', [0x10, 0x96, 0x01, 0x0a, 1, 0x61]],
    ['a field of later times, 8 bytes', [0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x0a, 1, 0x61]],
    ['a field of later times, bytes', [0x22, 2, 1, 2, 0x0a, 1, 0x61]],
    ['a field of later times, 4 bytes', [0x2d, 1, 2, 3, 4, 0x0a, 1, 0x61]],
    ['a field of a large number', [0x82, 0x80, 0x01, 1, 7, 0x0a, 1, 0x61]],
    ['the name twice: the last counts', [0x0a, 1, 0x62, 0x0a, 1, 0x61]],
  ])('is read beside %s', (_, bytes) => {
    expect(readRequest(...bytes)).toEqual({ service: 'a' });
  });

  it.each([
    ['ends in a tag', [0x8a]],
    ['ends in a length', [0x0a]],
    ['is shorter than it says', [0x0a, 5, 0x61]],
    ['says a length beyond all measure', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['has a number that does not end', Array.from({ length: 20 }, () => 0xff)],
    ['has groups', [0x0b, 0x0c]],
  ])('that %s is refused', (_, bytes) => {
    expect(() => readRequest(...bytes)).toThrow('malformed');
  });

  it('of any bytes is read or refused, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          expect(typeof Check.requestDeserialize(Buffer.from(bytes)).service).toBe('string');
        } catch (error) {
          expect(String(error)).toContain('malformed');
        }
      }),
    );
  });
});

describe('an answer', () => {
  it.each([
    [servingStatus.UNKNOWN, []],
    [servingStatus.SERVING, [8, 1]],
    [servingStatus.NOT_SERVING, [8, 2]],
    [servingStatus.SERVICE_UNKNOWN, [8, 3]],
  ])('of %i is written as protobuf does', (status, bytes) => {
    expect([...Check.responseSerialize({ status })]).toEqual(bytes);
    expect(readResponse(...bytes)).toEqual({ status });
  });

  it('whose field is something else says nothing', () => {
    expect(readResponse(0x0a, 1, 0x61)).toEqual({ status: servingStatus.UNKNOWN });
  });
});
