import { formatBaggage, parseBaggage } from 'keelson/telemetry';
import { describe, expect, it } from 'vitest';

describe('parseBaggage', () => {
  it.each([
    [
      'a=1,b=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    [
      ' a = 1 ;p=2; q , b=%20x%2Cy ',
      [
        ['a', '1', 'p=2;q'],
        ['b', ' x,y'],
      ],
    ],
    ['empty=', [['empty', '']]],
    ['eq=a=b', [['eq', 'a=b']]],
    ['a%20b=1', [['a%20b', '1']]],
    [
      'bad=%zz,cut=%',
      [
        ['bad', '%zz'],
        ['cut', '%'],
      ],
    ],
    ['latin=%e9', [['latin', '\ufffd']]],
    [
      'one=1,broken,=2,sp ace=3,quote="x",two=2',
      [
        ['one', '1'],
        ['two', '2'],
      ],
    ],
    ['badprop=1;a b,ok=1', [['ok', '1']]],
    [
      'twice=1,twice=2',
      [
        ['twice', '1'],
        ['twice', '2'],
      ],
    ],
    ['', []],
    [undefined, []],
  ])('%j', (header, members) => {
    const expected = members.map(([key, value, properties]) =>
      properties === undefined ? { key, value } : { key, value, properties },
    );
    expect(parseBaggage(header)).toEqual(expected);
  });

  it('reads at most 64 members and 8192 bytes', () => {
    const many = Array.from({ length: 200 }, (_, at) => `k${at}=v`).join(',');
    expect(parseBaggage(many)).toHaveLength(64);
    const fat = Array.from({ length: 20 }, (_, at) => `k${at}=${'v'.repeat(1000)}`).join(',');
    expect(parseBaggage(fat)).toHaveLength(8);
    expect(parseBaggage(`k=${'v'.repeat(9000)}`)).toEqual([]);
  });
});

describe('formatBaggage', () => {
  it('escapes what has to be and nothing else', () => {
    expect(
      formatBaggage([
        { key: 'a', value: 'plain:/?=&' },
        { key: 'b', value: '50% "é",;\\ ' },
        { key: 'c', value: 'x', properties: 'p=1;q' },
        { key: 'sp ace', value: '1' },
        { key: 'half', value: '\ud800' },
        { key: 'd', value: '1', properties: 'not valid,at all' },
        { key: '', value: 'nobody' },
      ]),
    ).toBe('a=plain:/?=&,b=50%25%20%22%C3%A9%22%2C%3B%5C%20,c=x;p=1;q,sp%20ace=1,half=%EF%BF%BD,d=1');
  });

  it('writes at most 64 members and 8192 bytes, and leaves out the one that does not fit', () => {
    const many = Array.from({ length: 200 }, (_, at) => ({ key: `k${at}`, value: 'v' }));
    expect(formatBaggage(many).split(',')).toHaveLength(64);
    const fat = formatBaggage([
      { key: 'a', value: '1' },
      { key: 'fat', value: 'v'.repeat(9000) },
      { key: 'b', value: '2' },
    ]);
    expect(fat).toBe('a=1,b=2');
  });
});
