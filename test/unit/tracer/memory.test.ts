import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { tracedHere } from '../../doubles/traced-here.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that what a function leaves behind takes, once nothing else is there. */
function heldBy(run: () => void): number {
  collect();
  const before = process.memoryUsage().heapUsed;
  run();
  collect();
  return process.memoryUsage().heapUsed - before;
}

const megabyte = 1e6;
/** As long as texts can be that lie on the heap. */
const long = (n: number): string => Buffer.alloc(megabyte, `text ${n} `).toString('latin1');

describe('what is cut', () => {
  it.each([
    ['a text', (text: string) => text],
    ['an object', (text: string) => ({ text })],
    ['an error', (text: string) => new Error(text)],
    ['a list', (text: string) => [text]],
  ])('of %s does not keep all that was not', (_, given) => {
    const here = tracedHere();
    const held = heldBy(() => {
      for (let n = 0; n < 30; n++) {
        here
          .start('x')
          .setAttribute('value', given(long(n)) as never)
          .end();
      }
    });
    expect(here.sink.spans).toHaveLength(30);
    for (const { bytes } of here.sink.spans) expect(bytes).toBeGreaterThan(1000);
    expect(held).toBeLessThan(5 * megabyte);
  });

  it('of a status, an event and for want of room keeps no more', () => {
    const here = tracedHere({ limits: { maxAttributeLength: 2 * megabyte, maxSpanBytes: 4096 } });
    const held = heldBy(() => {
      for (let n = 0; n < 30; n++) {
        here.start('x').setAttribute('value', long(n)).end();
        here
          .start('x')
          .addEvent('e', { value: long(n) })
          .end();
        here
          .start('x')
          .setStatus({ code: 2, message: long(n) })
          .end();
      }
    });
    for (const { bytes } of here.sink.spans) expect(bytes).toBeGreaterThan(4000);
    expect(held).toBeLessThan(5 * megabyte);
  });
});
