import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { Outbox } from '../../../src/grpc/outbox.js';

type RealCall = Parameters<Outbox['feedTo']>[0];

/** A call that takes a message when it is told to. */
function sink() {
  const got: string[] = [];
  const waiting: (() => void)[] = [];
  const call = {
    sendMessageWithContext: ({ callback }: { callback: () => void }, message: Buffer) => {
      got.push(String(message));
      waiting.push(callback);
    },
    halfClose: () => void got.push('end'),
  } as unknown as RealCall;
  return { call, got, take: () => waiting.shift()?.(), waiting };
}

const push = (outbox: Outbox, text: string, taken?: () => void) =>
  outbox.push(taken === undefined ? {} : { callback: taken }, Buffer.from(text));

describe('what a call sends', () => {
  it('goes out one by one, and then the last word', () => {
    const outbox = new Outbox(100);
    const { call, got, take } = sink();
    const taken: number[] = [];
    outbox.feedTo(call).pump();
    push(outbox, 'a', () => taken.push(1));
    push(outbox, 'b', () => taken.push(2));
    expect([got, taken]).toEqual([['a'], []]);
    take();
    expect([got, taken]).toEqual([['a', 'b'], [1]]);
    outbox.close();
    take();
    expect([got, taken]).toEqual([
      ['a', 'b', 'end'],
      [1, 2],
    ]);
  });

  it('closes right behind a message that is the only one', () => {
    const outbox = new Outbox(100);
    const { call, got } = sink();
    push(outbox, 'a');
    outbox.close();
    outbox.feedTo(call).pump();
    expect(got).toEqual(['a', 'end']);
  });

  it('closes behind the last message, also where a message is taken while it is sent', async () => {
    const outbox = new Outbox(100);
    const sent: string[] = [];
    let closes = false;
    // As grpc-js before 1.14 does it.
    const call = {
      sendMessageWithContext: async ({ callback }: { callback: () => void }, message: Buffer) => {
        await Promise.resolve();
        sent.push(String(message));
        callback();
        if (closes) sent.push('end');
      },
      halfClose: () => {
        closes = true;
      },
    } as unknown as RealCall;
    for (const text of ['a', 'b', 'c']) push(outbox, text);
    outbox.close();
    outbox.feedTo(call).pump();
    await new Promise(setImmediate);
    expect(sent).toEqual(['a', 'b', 'c', 'end']);
  });

  it('ends a call that sends nothing', () => {
    const outbox = new Outbox(100);
    const { call, got } = sink();
    outbox.close();
    outbox.feedTo(call).pump();
    expect(got).toEqual(['end']);
  });

  it('can be sent again while all of it is kept; each message counts as taken once', () => {
    const outbox = new Outbox(3);
    let taken = 0;
    push(outbox, 'abc', () => taken++);
    outbox.close();
    expect([outbox.intact, outbox.whole]).toEqual([true, true]);
    for (let attempt = 0; attempt < 3; attempt++) {
      const { call, got, take } = sink();
      outbox.feedTo(call).pump();
      take();
      expect(got).toEqual(['abc', 'end']);
    }
    expect(taken).toBe(1);
  });

  it('is not kept when it is too much, or when an answer has begun', () => {
    const outbox = new Outbox(3);
    const { call, take } = sink();
    const feed = outbox.feedTo(call);
    push(outbox, 'ab');
    push(outbox, 'cd');
    expect(outbox.intact).toBe(false);
    take();
    expect([outbox.at(0), outbox.at(1)]).toEqual([undefined, undefined]);
    const small = new Outbox(3);
    const other = sink();
    const chosen = small.feedTo(other.call);
    push(small, 'a');
    expect(small.at(0)).toBeDefined();
    small.commit(chosen);
    expect([small.intact, small.at(0), small.count]).toEqual([false, undefined, 1]);
    expect(feed.next).toBe(2);
  });

  it('that nobody takes any more is let go when the call ends, and what comes after it', async () => {
    const outbox = new Outbox(100);
    const told: string[] = [];
    push(outbox, 'a', () => told.push('a'));
    outbox.end();
    push(outbox, 'b', () => told.push('b'));
    push(outbox, 'c');
    expect(told).toEqual([]);
    await new Promise(process.nextTick);
    expect(told).toEqual(['a', 'b']);
    expect(outbox.at(0)).toBeUndefined();
  });

  it('arrives in order and once, whenever it is taken, and is not kept beyond the limit', () => {
    const steps = fc.array(fc.oneof(fc.string({ minLength: 1, maxLength: 4 }), fc.constant(null)));
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 12 }), (all, limit) => {
        const outbox = new Outbox(limit);
        const { call, got, take, waiting } = sink();
        const sent: string[] = [];
        let taken = 0;
        outbox.feedTo(call).pump();
        for (const step of all) {
          if (step === null) take();
          else {
            sent.push(step);
            push(outbox, step, () => taken++);
          }
          const bytes = sent.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
          expect(outbox.intact).toBe(bytes <= limit);
        }
        outbox.close();
        while (waiting.length > 0) take();
        expect(got).toEqual([...sent, 'end']);
        expect(taken).toBe(sent.length);
      }),
    );
  });
});
