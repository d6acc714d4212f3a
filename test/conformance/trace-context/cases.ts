// What W3C Trace Context, level 2, asks of a service that is called and calls on: which headers continue a trace, which begin
// a new one, which lists go on. Written from the rules and by the names that the published suite (github.com/w3c/trace-context,
// test/test.py, strict) has for them. No code of that suite is in here.

/** A header as it stands on the wire; several of one name are several headers. */
export type Header = readonly [name: string, value: string];

export const traceId = '12345678901234567890123456789012';
export const parentId = '1234567890123456';
export const valid = `00-${traceId}-${parentId}-01`;
export const unsampled: Header = ['traceparent', `00-${traceId}-${parentId}-00`];

const parents = (...values: string[]): Header[] => values.map((value) => ['traceparent', value]);

/** The trace goes on, with a parent of the service's own. */
export const continued: readonly (readonly [string, readonly Header[]])[] = [
  ['tracestate missing', parents(valid)],
  ['TraceParent', [['TraceParent', valid]]],
  ['TrAcEpArEnT', [['TrAcEpArEnT', valid]]],
  ['TRACEPARENT', [['TRACEPARENT', valid]]],
  ['version cc', parents(`cc-${traceId}-${parentId}-01`)],
  ['version fe', parents(`fe-${traceId}-${parentId}-01`)],
  ['version cc, longer', parents(`cc-${traceId}-${parentId}-01-what-the-future-will-be-like`)],
  ['version cc, longer by a dash', parents(`cc-${traceId}-${parentId}-01-`)],
  ['version 01, longer', parents(`01-${traceId}-${parentId}-01-x`)],
  ['the same twice', parents(valid, valid)],
  ['the same three times', parents(valid, valid, valid)],
  ['space before', parents(` ${valid}`)],
  ['tab before', parents(`\t${valid}`)],
  ['space after', parents(`${valid} `)],
  ['tab after', parents(`${valid}\t`)],
  ['both around', parents(`\t ${valid} \t`)],
  ['the same twice, spaces around', parents(` ${valid} `, `\t${valid}`)],
];

/** A new trace begins, and no list goes on. */
export const restarted: readonly (readonly [string, readonly Header[]])[] = [
  ['both missing', []],
  ['empty', parents('')],
  ['twice, different', parents(`00-${traceId.slice(0, 31)}1-${parentId}-01`, valid)],
  ['twice, different flags', parents(`00-${traceId}-${parentId}-00`, valid)],
  ['twice, one broken', parents('broken', valid)],
  ['twice, one empty', parents(valid, '')],
  ['two in one header', parents(`00-${traceId.slice(0, 31)}1-${parentId}-01,${valid}`)],
  ['trace-parent', [['trace-parent', valid]]],
  ['trace.parent', [['trace.parent', valid]]],
  ['version 00, trailing dot', parents(`${valid}.`)],
  ['version 00, trailing dash', parents(`${valid}-`)],
  ['version 00, longer', parents(`${valid}-what-the-future-will-be-like`)],
  ['version cc, wrong separator', parents(`cc-${traceId}-${parentId}-01.what-the-future-will-be-like`)],
  ['version cc, too short', parents(`cc-${traceId}-${parentId}`)],
  ['version ff', parents(`ff-${traceId}-${parentId}-01`)],
  ['version FE', parents(`FE-${traceId}-${parentId}-01`)],
  ['version .0', parents(`.0-${traceId}-${parentId}-01`)],
  ['version 0.', parents(`0.-${traceId}-${parentId}-01`)],
  ['version 000', parents(`000-${traceId}-${parentId}-01`)],
  ['version 0000', parents(`0000-${traceId}-${parentId}-01`)],
  ['version 0', parents(`0-${traceId}-${parentId}-01`)],
  ['trace id all zero', parents(`00-${'0'.repeat(32)}-${parentId}-01`)],
  ['trace id in upper case', parents(`00-${'ABCDEF'.repeat(5)}12-${parentId}-01`)],
  ['trace id with a dot first', parents(`00-.${traceId.slice(1)}-${parentId}-01`)],
  ['trace id with a dot last', parents(`00-${traceId.slice(0, 31)}.-${parentId}-01`)],
  ['trace id too long', parents(`00-${traceId}3-${parentId}-01`)],
  ['trace id too short', parents(`00-${traceId.slice(0, 31)}-${parentId}-01`)],
  ['parent id all zero', parents(`00-${traceId}-${'0'.repeat(16)}-01`)],
  ['parent id in upper case', parents(`00-${traceId}-ABCDEF1234567890-01`)],
  ['parent id with a dot first', parents(`00-${traceId}-.${parentId.slice(1)}-01`)],
  ['parent id with a dot last', parents(`00-${traceId}-${parentId.slice(0, 15)}.-01`)],
  ['parent id too long', parents(`00-${traceId}-${parentId}7-01`)],
  ['parent id too short', parents(`00-${traceId}-${parentId.slice(0, 15)}-01`)],
  ['flags .0', parents(`00-${traceId}-${parentId}-.0`)],
  ['flags 0.', parents(`00-${traceId}-${parentId}-0.`)],
  ['flags 001', parents(`00-${traceId}-${parentId}-001`)],
  ['flags 1', parents(`00-${traceId}-${parentId}-1`)],
  ['flags in upper case', parents(`00-${traceId}-${parentId}-0F`)],
  ['no flags', parents(`00-${traceId}-${parentId}`)],
  ['a space inside', parents(`00-${traceId} -${parentId}-01`)],
  ['white space that HTTP does not allow', parents(`\u00a0${valid}`)],
  ['tracestate alone', [['tracestate', 'foo=1']]],
  ['a broken parent beside a good list', [...parents(`${valid}.`), ['tracestate', 'foo=1,bar=2']]],
];

const keyCharacters = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/';
const valueCharacters = Array.from({ length: 0x7e - 0x20 + 1 }, (_, at) => String.fromCharCode(0x20 + at))
  .filter((character) => character !== ',' && character !== '=')
  .join('');
const numbered = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, at) => `bar${from + at}=${from + at}`).join(',');

/** Headers of lists beside a good parent, and the list that goes on; empty for one that is discarded whole. */
export const states: readonly (readonly [string, readonly string[], string])[] = [
  ['both included', ['foo=1,bar=2'], 'foo=1,bar=2'],
  ['empty', [''], ''],
  ['empty members', ['foo=1,,bar=2, ,'], 'foo=1,bar=2'],
  ['nothing but commas', [',,,'], ''],
  ['empty last', ['foo=1', ''], 'foo=1'],
  ['empty first', ['', 'foo=1'], 'foo=1'],
  ['several headers', ['foo=1,bar=2', 'rojo=1,congo=2', 'baz=3'], 'foo=1,bar=2,rojo=1,congo=2,baz=3'],
  ['keys twice', ['foo=1,foo=1'], 'foo=1'],
  ['keys twice, other values', ['foo=1,foo=2'], 'foo=1'],
  ['keys twice in two headers', ['foo=1', 'foo=2'], 'foo=1'],
  ['all characters', [`${keyCharacters}=${valueCharacters}`], `${keyCharacters}=${valueCharacters}`],
  [
    'all characters with @',
    [`${keyCharacters}@a-z0-9_-*/=${valueCharacters}`],
    `${keyCharacters}@a-z0-9_-*/=${valueCharacters}`,
  ],
  ['spaces around', ['foo=1 \t , \t bar=2, \t baz=3'], 'foo=1,bar=2,baz=3'],
  ['tabs around', ['foo=1\t \t,\t \tbar=2,\t \tbaz=3'], 'foo=1,bar=2,baz=3'],
  ['space before', [' foo=1'], 'foo=1'],
  ['tab after', ['foo=1\t'], 'foo=1'],
  ['a space first in a value', ['foo= 1,bar=2'], 'foo= 1,bar=2'],
  ['a key that begins with a digit', ['1foo=1'], '1foo=1'],
  ['a key of one character', ['f=1'], 'f=1'],
  ['space in a key', ['foo =1'], ''],
  ['upper case key', ['FOO=1'], ''],
  ['dot in a key', ['foo.bar=1'], ''],
  ['a key that begins with _', ['_foo=1'], ''],
  ['no key', ['=1'], ''],
  ['no equals sign', ['foo,bar=2'], ''],
  ['foo@', ['foo@=1,bar=2'], 'foo@=1,bar=2'],
  ['@foo', ['@foo=1,bar=2'], ''],
  ['foo@@bar', ['foo@@bar=1,bar=2'], 'foo@@bar=1,bar=2'],
  ['foo@bar@baz', ['foo@bar@baz=1,bar=2'], 'foo@bar@baz=1,bar=2'],
  ['32 members', [numbered(1, 10), numbered(11, 32)], numbered(1, 32)],
  ['32 members and empty ones', [`${numbered(1, 10)},,`, numbered(11, 32)], numbered(1, 32)],
  ['33 members', [numbered(1, 10), numbered(11, 33)], ''],
  ['33 members, one of them twice', [`${numbered(1, 32)},bar1=1`], ''],
  ['key of 256', ['foo=1', `${'z'.repeat(256)}=1`], `foo=1,${'z'.repeat(256)}=1`],
  ['key of 257', ['foo=1', `${'z'.repeat(257)}=1`], ''],
  [
    '241@14',
    ['foo=1', `${'t'.repeat(241)}@${'v'.repeat(14)}=1`],
    `foo=1,${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
  ],
  ['242@1', ['foo=1', `${'t'.repeat(242)}@v=1`], `foo=1,${'t'.repeat(242)}@v=1`],
  ['1@15', ['foo=1', `t@${'v'.repeat(15)}=1`], `foo=1,t@${'v'.repeat(15)}=1`],
  ['value of 256', [`foo=${'1'.repeat(256)}`], `foo=${'1'.repeat(256)}`],
  ['value of 257', [`foo=${'1'.repeat(257)}`], ''],
  ['two equals signs', ['foo=bar=baz'], ''],
  ['no value', ['foo=,bar=3'], ''],
  ['a value beyond ASCII', ['foo=\u00e9,bar=3'], ''],
];
