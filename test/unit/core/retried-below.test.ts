import {
  createCall,
  neverAgain,
  noRetry,
  noteRetriableAbove,
  noteRetriedBelow,
  retriedBelow,
  retryHeader,
  runWithCall,
  runWithoutCall,
} from 'keelson/core';
import { describe, expect, it } from 'vitest';

const inbound = () => createCall({ side: 'server', service: 'orders', operation: 'GET' });

describe('a failure below', () => {
  it('is noted on the inbound call that is served now, and on no other', async () => {
    const [one, other] = [inbound(), inbound()];
    await runWithCall(one, async () => {
      await Promise.resolve();
      expect(retriedBelow(one)).toBe(false);
      noteRetriedBelow();
    });
    expect([retriedBelow(one), retriedBelow(other)]).toEqual([true, false]);
  });

  it('of no inbound call is noted nowhere', () => {
    const call = inbound();
    runWithCall(call, () => runWithoutCall(() => noteRetriedBelow()));
    noteRetriedBelow();
    expect([retriedBelow(call), retriedBelow(undefined)]).toEqual([false, false]);
  });

  it.each<[string, boolean, () => void]>([
    ['of the only call', true, () => noteRetriedBelow(10)],
    ['before one that may be tried again', false, () => [noteRetriedBelow(10), noteRetriableAbove(10)]],
    ['beside one that ran at the same time', true, () => [noteRetriedBelow(10), noteRetriableAbove(9)]],
    [
      'that came after one that may be tried again',
      true,
      () => [noteRetriableAbove(5), noteRetriedBelow(10)],
    ],
    [
      'after one that was left behind',
      true,
      () => [noteRetriedBelow(10), noteRetriableAbove(11), noteRetriedBelow(20)],
    ],
    [
      'of two that was left behind with the other',
      false,
      () => [noteRetriedBelow(10), noteRetriedBelow(20), noteRetriableAbove(20)],
    ],
    [
      'of two, the later of which was not',
      true,
      () => [noteRetriedBelow(10), noteRetriedBelow(20), noteRetriableAbove(15)],
    ],
    ['long before the other', false, () => [noteRetriedBelow(10), noteRetriableAbove(1e9)]],
    ['by a clock that stepped back', true, () => [noteRetriedBelow(1e9), noteRetriableAbove(10)]],
    ['by a clock that tells no time', true, () => [noteRetriedBelow(10), noteRetriableAbove(Number.NaN)]],
  ])('%s is what the answer is made of: %s', (_, made, run) => {
    const call = inbound();
    runWithCall(call, () => void run());
    expect(retriedBelow(call)).toBe(made);
  });

  it('is left behind in the call alone that it is of', () => {
    const [one, other] = [inbound(), inbound()];
    for (const call of [one, other]) runWithCall(call, () => noteRetriedBelow(10));
    runWithCall(one, () => noteRetriableAbove(20));
    noteRetriableAbove(20);
    expect([retriedBelow(one), retriedBelow(other)]).toEqual([false, true]);
  });

  it('goes out by a word that is fixed', () => {
    expect([retryHeader, noRetry, neverAgain]).toEqual(['x-keelson-retry', 'no', Number.POSITIVE_INFINITY]);
  });
});
