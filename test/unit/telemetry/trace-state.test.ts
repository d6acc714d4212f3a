import { parseTracestate } from 'keelson/telemetry';
import { describe, expect, it } from 'vitest';

const list = (count: number) => Array.from({ length: count }, (_, at) => `k${at}=${at}`).join(',');

describe('parseTracestate', () => {
  it.each([
    ['foo=1,bar=2', 'foo=1,bar=2'],
    ['foo=1 \t , \t bar=2,,', 'foo=1,bar=2'],
    ['0tenant@system=1', '0tenant@system=1'],
    ['foo= leading space counts', 'foo= leading space counts'],
    ['foo=1,foo=2,bar=3', 'foo=1,bar=3'],
    [list(32), list(32)],
  ])('%j is %j', (header, serialized) => {
    expect(parseTracestate(header)?.serialize()).toBe(serialized);
  });

  it.each([
    [undefined],
    [''],
    [' , ,\t'],
    ['foo'],
    ['=1'],
    ['foo=1,Bar=2'],
    ['foo=1,b=x=y'],
    ['foo=1,b='],
    ['foo=1,b=\u00e9'],
    [`foo=${'v'.repeat(257)}`],
    [list(33)],
    [`foo=1,${' '.repeat(100_000)}`],
  ])('%j is discarded as a whole', (header) => {
    expect(parseTracestate(header)).toBeUndefined();
  });

  it('changes by making a new list, with what is new in front', () => {
    const state = parseTracestate('a=1,b=2');
    expect(state?.get('b')).toBe('2');
    expect(state?.get('c')).toBeUndefined();
    expect(state?.set('b', '3').serialize()).toBe('b=3,a=1');
    expect(state?.set('c', '3').serialize()).toBe('c=3,a=1,b=2');
    expect(state?.unset('a').serialize()).toBe('b=2');
    expect(state?.serialize()).toBe('a=1,b=2');
  });

  it('takes no bad member, and makes room at the end', () => {
    const state = parseTracestate(list(32));
    expect(state?.set('Bad', '1')).toBe(state);
    expect(state?.set('bad', 'a,b')).toBe(state);
    const fuller = state?.set('new', '1').serialize().split(',') ?? [];
    expect(fuller).toHaveLength(32);
    expect(fuller[0]).toBe('new=1');
    expect(fuller).not.toContain('k31=31');
  });
});
