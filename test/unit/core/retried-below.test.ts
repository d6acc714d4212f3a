import {
  createCall,
  neverAgain,
  noRetry,
  noteRetriedBelow,
  noteWentOn,
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
    ['that the handler went on after', false, () => [noteRetriedBelow(10), noteWentOn(10)]],
    ['beside a call that ran at the same time', true, () => [noteRetriedBelow(10), noteWentOn(9)]],
    ['that came after a call that went well', true, () => [noteWentOn(5), noteRetriedBelow(10)]],
    [
      'after one that was left behind',
      true,
      () => [noteRetriedBelow(10), noteWentOn(11), noteRetriedBelow(20)],
    ],
    [
      'of two that was left behind with the other',
      false,
      () => [noteRetriedBelow(10), noteRetriedBelow(20), noteWentOn(20)],
    ],
    [
      'of two, the later of which was not',
      true,
      () => [noteRetriedBelow(10), noteRetriedBelow(20), noteWentOn(15)],
    ],
    ['long before the handler went on', false, () => [noteRetriedBelow(10), noteWentOn(60_010)]],
    // Nobody waits so long for a handler; what it costs is that whoever called does not try again.
    ['longer ago than anybody is asked for', true, () => [noteRetriedBelow(10), noteWentOn(60_011)]],
    ['by a clock that tells no time', true, () => [noteRetriedBelow(10), noteWentOn(Number.NaN)]],
  ])('%s is what the answer is made of: %s', (_, made, run) => {
    const call = inbound();
    runWithCall(call, () => void run());
    expect(retriedBelow(call)).toBe(made);
  });

  it('is left behind in the call alone that it is of', () => {
    const [one, other] = [inbound(), inbound()];
    for (const call of [one, other]) runWithCall(call, () => noteRetriedBelow(10));
    runWithCall(one, () => noteWentOn(20));
    noteWentOn(20);
    expect([retriedBelow(one), retriedBelow(other)]).toEqual([false, true]);
  });

  it('goes out by a word that is fixed', () => {
    expect([retryHeader, noRetry, neverAgain]).toEqual(['x-keelson-retry', 'no', Number.POSITIVE_INFINITY]);
  });
});
