import { exponential, streams } from '../engine/streams.mjs';

const latencyMs = 10;

/**
 * An hour of calls of which a share fails by chance. Nothing but arrivals happens, and all calls take equally long, so
 * there is no need of a world of events: ten million calls take some seconds.
 *
 * @param {import('keelson/core').Gate} gate
 * @param {{ perSecond: number, ratio: number, seed: number, seconds: number }} how
 * @returns {{ refused: number, calls: number }}
 */
export function hour(gate, { perSecond, ratio, seed, seconds }) {
  const stream = streams(seed);
  const arrivals = stream('arrivals');
  const luck = stream('luck');
  /** @type {{ permit: import('keelson/core').Permit, at: number, failed: boolean }[]} */
  let flying = [];
  let first = 0;
  let refused = 0;
  let calls = 0;
  const gapMs = 1000 / perSecond;
  for (let now = 0; now < seconds * 1000; now += exponential(arrivals, gapMs)) {
    for (let next = flying[first]; next !== undefined && next.at <= now; next = flying[++first])
      next.permit.release(next.failed ? 'failure' : 'success', next.at);
    if (first > 1000) {
      flying = flying.slice(first);
      first = 0;
    }
    calls++;
    const failed = luck() < ratio;
    const permit = gate.tryAcquire(now);
    if (permit === null) refused++;
    else flying.push({ permit, at: now + latencyMs, failed });
  }
  return { refused, calls };
}
