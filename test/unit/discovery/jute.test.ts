import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { JuteFrames, JuteReader, JuteWriter } from '../../../src/discovery/jute.js';

const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

describe('records of ZooKeeper', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(int, long, fc.boolean(), fc.string(), fc.array(fc.string()), (i, l, b, t, ts) => {
        const frame = new JuteWriter().int(i).long(l).bool(b).text(t).texts(ts).frame();
        const reader = new JuteReader(frame.subarray(4));
        expect([reader.int(), reader.long(), reader.bool(), reader.text(), reader.texts()]).toEqual([
          i,
          l,
          b,
          t,
          ts,
        ]);
        expect(reader.left).toBe(0);
        expect(frame.readInt32BE()).toBe(frame.length - 4);
      }),
    );
  });

  it('are refused where a length is a lie, whatever the bytes', () => {
    const steps = fc.array(fc.constantFrom('int', 'long', 'bool', 'text', 'texts', 'buffer'), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), steps, (bytes, names) => {
        const reader = new JuteReader(Buffer.from(bytes));
        try {
          for (const name of names) reader[name as 'int']();
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  it.each([
    ['a missing text', Buffer.from([255, 255, 255, 255]), 'text', ''],
    ['a missing list', Buffer.from([255, 255, 255, 255]), 'texts', []],
  ] as const)('%s counts as an empty one', (_, bytes, read, expected) => {
    expect(new JuteReader(bytes)[read]()).toEqual(expected);
  });

  it.each([
    ['a text of 2 GB', Buffer.from([127, 255, 255, 255]), 'text'],
    ['a list of 2 billion', Buffer.from([127, 255, 255, 255, 0, 0, 0, 0]), 'texts'],
    ['a negative length', Buffer.from([255, 255, 255, 254]), 'text'],
    ['half a number', Buffer.from([0, 0]), 'int'],
  ] as const)('%s is refused', (_, bytes, read) => {
    expect(() => new JuteReader(bytes)[read]()).toThrow(RangeError);
  });
});

describe('frames', () => {
  it('come out whole however they were torn', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 })),
        fc.array(fc.nat({ max: 300 })),
        (bodies, cuts) => {
          const stream = Buffer.concat(bodies.map((body) => new JuteWriter().buffer(body).frame()));
          const at = [...new Set([0, ...cuts.filter((cut) => cut < stream.length), stream.length])].sort(
            (a, b) => a - b,
          );
          const frames = new JuteFrames(1_000);
          const out = at.slice(1).flatMap((end, index) => frames.push(stream.subarray(at[index], end)));
          expect(out.map((frame) => Buffer.from(new JuteReader(frame).buffer()))).toEqual(
            bodies.map((body) => Buffer.from(body)),
          );
        },
      ),
    );
  });

  it.each([
    ['too long', Buffer.from([0, 0, 4, 1])],
    ['of a negative length', Buffer.from([255, 255, 255, 255])],
    ['of text, as from a web server', Buffer.from('HTTP/1.1 400 Bad Request')],
  ])('%s are refused before they are gathered', (_, bytes) => {
    expect(() => new JuteFrames(1_024).push(bytes)).toThrow(RangeError);
  });
});
