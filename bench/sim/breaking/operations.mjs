import { evidence } from 'keelson/breaker';
import { keyed } from 'keelson/core';
import { exponential, streams } from '../engine/streams.mjs';

const perSecond = 100;
const operations = 10;

/** A breaker for the endpoint, or one for each of its operations. */
const kinds = {
  'one for the endpoint': (/** @type {() => number} */ random) => evidence({ random }),
  'one for each operation': (/** @type {() => number} */ random) => keyed(() => evidence({ random })),
};

/**
 * An endpoint some of whose operations fail for a minute: what share of the calls to the others is served, and what share
 * of those to the failing ones is spared.
 *
 * @param {number} failing how many of the ten @param {number} seed
 */
export function byOperation(failing, seed) {
  return Object.entries(kinds).map(([name, make]) => {
    const stream = streams(seed);
    const [arrivals, which] = [stream('arrivals'), stream('which')];
    const gate = make(stream('breaker'));
    let [good, served, bad, spared] = [0, 0, 0, 0];
    for (let now = 0; now < 60_000; now += exponential(arrivals, 1000 / perSecond)) {
      const nth = Math.floor(which() * operations);
      const fails = nth < failing;
      const permit = gate.tryAcquire(now, { operation: `operation ${nth}` });
      permit?.release(fails ? 'failure' : 'success', now);
      if (fails) {
        bad++;
        if (permit === null) spared++;
      } else {
        good++;
        if (permit !== null) served++;
      }
    }
    return { name, failing, served: served / good, spared: spared / bad };
  });
}
