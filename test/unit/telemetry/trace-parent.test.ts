import { formatTraceparent, parseTraceparent } from 'keelson/telemetry';
import { describe, expect, it } from 'vitest';

const traceId = '12345678901234567890123456789012';
const spanId = '1234567890123456';
const good = `00-${traceId}-${spanId}-01`;

describe('parseTraceparent', () => {
  it.each([
    ['as written', good, 1],
    ['white space around', `\t ${good} \t`, 1],
    ['not sampled', `00-${traceId}-${spanId}-00`, 0],
    ['random', `00-${traceId}-${spanId}-03`, 3],
    ['flags that nobody has defined are cleared', `00-${traceId}-${spanId}-ff`, 3],
    ['a version to come', `cc-${traceId}-${spanId}-01`, 1],
    ['a version to come that says more', `cc-${traceId}-${spanId}-01-what-the-future-will-be-like`, 1],
    ['the same twice', `${good}, ${good}`, 1],
  ])('reads: %s', (_, header, traceFlags) => {
    expect(parseTraceparent(header)).toEqual({ traceId, spanId, traceFlags });
  });

  it.each([
    ['nothing', undefined],
    ['empty', ''],
    ['version 00 that says more', `${good}-more`],
    ['version ff', `ff-${traceId}-${spanId}-01`],
    ['upper case', `00-${traceId.replace('0', 'A')}-${spanId}-01`],
    ['trace id of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['span id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['two that differ', `${good}, 00-${traceId}-${spanId}-00`],
    ['one good and one empty', `${good},`],
    ['absurdly long', `cc-${traceId}-${spanId}-01-${'x'.repeat(100_000)}`],
  ])('refuses: %s', (_, header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });

  it('is undone by formatTraceparent, which writes two digits of flags whatever they are', () => {
    expect(formatTraceparent({ traceId, spanId, traceFlags: 1 })).toBe(good);
    expect(formatTraceparent({ traceId, spanId, traceFlags: 0xff })).toBe(`00-${traceId}-${spanId}-03`);
    expect(formatTraceparent({ traceId, spanId, traceFlags: 0x10 })).toBe(`00-${traceId}-${spanId}-00`);
  });
});
