import { evidence, sre } from 'keelson/breaker';
import { streams } from '../engine/streams.mjs';
import { dead, flaky, flooded, inTurn, limited } from './callees.mjs';
import { Record, simulate } from './play.mjs';

/** @typedef {import('keelson/core').Gate} Gate */
/** @typedef {import('./play.mjs').Callee} Callee */

/** What a callee of keelson tells, of which clients it trusts or not, and what one of others does. */
const tellings = [
  { telling: 'what it lets in', how: { tells: true } },
  { telling: 'that all are too many', how: { overloaded: true } },
  { telling: 'nothing', how: {} },
];
const capacity = 100;
const fromMs = 10_000;
const seconds = 60;

/** @type {Gate} */
const sendsAll = {
  code: 'BREAKER_OPEN',
  tryAcquire: () => ({ observe: () => undefined, release: () => undefined }),
};

/** @typedef {(random: () => number, opened: (to: string, now: number) => void) => Gate} Make */

/** @type {{ readonly [name: string]: Make }} */
const gates = {
  evidence: (random, opened) => evidence({ random, onTransition: (_from, to, now) => opened(to, now) }),
  'evidence, k 1.3': (random, opened) =>
    evidence({ k: 1.3, random, onTransition: (_from, to, now) => opened(to, now) }),
  sre: (random) => sre({ random }),
  none: () => sendsAll,
};

/** @param {() => Callee} callee @param {Make} make @param {{ perSecond: number, clients: number, seed: number }} how */
function play(callee, make, { perSecond, clients, seed }) {
  const stream = streams(seed);
  let openMs = 0;
  const made = Array.from({ length: clients }, (_, nth) => {
    let since = Number.NaN;
    return make(stream(`breaker ${nth}`), (to, now) => {
      if (to === 'open') since = now;
      else if (!Number.isNaN(since)) {
        openMs += now - Math.max(since, fromMs);
        since = Number.NaN;
      }
    });
  });
  const record = simulate({ gates: made, perSecond, seconds, callee: callee(), seed });
  const served = Record.sum(record.succeeded, fromMs, seconds * 1000);
  const wasted = record.wasted(fromMs, seconds * 1000);
  return { served, wasted, openRatio: openMs / clients / (seconds * 1000 - fromMs) };
}

/**
 * A callee that turns away what is too much for it: what part it gets to do of what it does for callers that hold nothing
 * back, what is wasted for each call that is served, and for what part of the time breakers are open. The last rows are of
 * callees that shed as much whatever is sent to them, from the start, or when they are back: nothing is to be gained there by
 * holding back, and only that breakers stay closed is looked at.
 *
 * @param {{ seeds: readonly number[], quick: boolean }} how
 */
export function sheds({ seeds, quick }) {
  const factors = quick ? [2, 10] : [1.1, 2, 5, 10];
  const limits = (quick ? [1] : [1, 20]).flatMap((clients) =>
    factors.flatMap((factor) =>
      tellings.map(({ telling, how }) => ({
        ...{ factor, clients, telling, perSecond: factor * capacity, callee: () => limited(capacity, how) },
      })),
    ),
  );
  const floods = (quick ? [0.9] : [0.85, 0.9, 0.95]).flatMap((ratio) =>
    [false, true].map((after) => ({
      ...{
        factor: undefined,
        clients: 1,
        telling: `nothing, sheds ${ratio}${after ? ' after an outage' : ''}`,
      },
      ...{ perSecond: 200 },
      callee: () =>
        after
          ? inTurn([
              [fromMs / 2, flaky(0)],
              [fromMs, dead],
              [Number.POSITIVE_INFINITY, flooded(ratio)],
            ])
          : flooded(ratio),
    })),
  );
  return [...limits, ...floods].map(({ callee, perSecond, ...scene }) => {
    const { clients } = scene;
    const found = Object.entries(gates).map(([name, make]) => {
      const runs = seeds.map((seed) => {
        const all = play(callee, /** @type {Make} */ (gates['none']), { perSecond, clients, seed });
        const one = play(callee, make, { perSecond, clients, seed });
        return { used: one.served / all.served, wasted: one.wasted / one.served, open: one.openRatio };
      });
      return {
        name,
        used: Math.min(...runs.map(({ used }) => used)),
        wasted: Math.max(...runs.map(({ wasted }) => wasted)),
        open: Math.max(...runs.map(({ open }) => open)),
      };
    });
    return { ...scene, found };
  });
}
