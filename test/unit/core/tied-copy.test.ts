import { formatTied, parseTied, parseTiedState } from 'keelson/core';
import { describe, expect, it } from 'vitest';

const id = '0b7e3f52-9d1c-4c55-8a41-5f2f3b7a9c01';

describe('the header of tied copies', () => {
  it.each([
    { id, copy: 1, mode: 'free' as const },
    { id, copy: 2, mode: 'free' as const },
    { id, copy: 2, mode: 'claim' as const },
  ])('reads what it wrote: copy $copy, $mode', (mark) => {
    expect(parseTied(formatTied(mark))).toEqual(mark);
  });

  it.each([
    ['nothing', undefined],
    ['empty', ''],
    ['no id', 'copy=1; mode=free'],
    ['a short id', 'id=abc; copy=1; mode=free'],
    ['a long id', `id=${id}${'0'.repeat(100_000)}; copy=1; mode=free`],
    ['other characters', `id=${id.replace('0b', '%0')}; copy=1; mode=free`],
    ['capitals, which would be another id', `id=${id.toUpperCase()}; copy=1; mode=free`],
    ['a third copy', `id=${id}; copy=3; mode=free`],
    ['another mode', `id=${id}; copy=1; mode=any`],
    ['two headers in one', `id=${id}; copy=1; mode=free, id=${id}; copy=1; mode=free`],
    ['a line after it', `id=${id}; copy=1; mode=free\n`],
  ])('takes nothing else: %s', (_name, text) => {
    expect(parseTied(text)).toBeUndefined();
  });

  it('reads the words of answers, and no others', () => {
    expect(parseTiedState('withdrawn')).toBe('withdrawn');
    expect(
      [undefined, null, '', 'constructor', 'Withdrawn', 'withdrawn, withdrawn'].map(parseTiedState),
    ).toEqual(Array.from({ length: 6 }, () => undefined));
  });
});
