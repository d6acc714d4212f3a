import {
  createCall,
  neverAgain,
  noRetry,
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

  it('goes out by a word that is fixed', () => {
    expect([retryHeader, noRetry, neverAgain]).toEqual(['x-keelson-retry', 'no', Number.POSITIVE_INFINITY]);
  });
});
