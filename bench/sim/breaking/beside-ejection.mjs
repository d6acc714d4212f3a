import { roundRobin, standardBalancer } from 'keelson/balancer';
import { evidence } from 'keelson/breaker';
import { exponential, streams } from '../engine/streams.mjs';

const perSecond = 300;
const ids = ['a', 'b', 'c'];
const [downAt, upAt, endAt] = [10_000, 30_000, 45_000];

/** @typedef {{ readonly ejects: boolean, readonly breaks: boolean }} Parts */

/**
 * Three endpoints of which one is down for 20 s, behind a balancer that picks anew where a breaker refuses, as `balance`
 * does: how many calls fail, and how long it takes until the third has its share again.
 *
 * @param {Parts} parts @param {number} seed
 */
export function besideEjection({ ejects, breaks }, seed) {
  const stream = streams(seed);
  const [arrivals, random] = [stream('arrivals'), stream('balancer')];
  const balancer = ejects ? standardBalancer({ random }) : roundRobin();
  const endpoints = ids.map((id) => ({ id, url: `http://${id}`, weight: 100, metadata: {} }));
  balancer.update(endpoints, 0);
  const gates = new Map(ids.map((id) => [id, evidence({ random: stream(id) })]));
  let [failed, refused] = [0, 0];
  /** @type {number[]} */
  const shareOfThird = new Array(endAt / 1000).fill(0);
  /** @type {{ at: number, end: () => void }[]} */
  const flying = [];
  for (let now = 0; now < endAt; now += exponential(arrivals, 1000 / perSecond)) {
    for (let next = flying[0]; next !== undefined && next.at <= now; next = flying[0]) flying.shift()?.end();
    const avoid = new Set();
    for (let picks = 1; ; picks++) {
      const lease = balancer.pick(now, avoid.size > 0 ? { avoid } : undefined);
      if (lease === null) {
        refused++;
        break;
      }
      const { id } = lease.endpoint;
      const permit = breaks ? gates.get(id)?.tryAcquire(now) : undefined;
      if (permit === null) {
        lease.release('unsent', now);
        avoid.add(id);
        if (picks < 3 && avoid.size < ids.length) continue;
        refused++;
        break;
      }
      const down = id === 'c' && now >= downAt && now < upAt;
      const outcome = down ? 'failure' : 'success';
      if (down) failed++;
      if (id === 'c') {
        const second = Math.floor(now / 1000);
        shareOfThird[second] = (shareOfThird[second] ?? 0) + 1;
      }
      const at = now + 10;
      flying.push({
        at,
        end: () => {
          permit?.release(outcome, at);
          lease.release(outcome, at);
        },
      });
      break;
    }
  }
  const fair = perSecond / ids.length;
  const back = shareOfThird.findIndex((sent, second) => second * 1000 >= upAt && sent >= 0.8 * fair);
  return { failed, refused, backS: back < 0 ? Number.POSITIVE_INFINITY : back - upAt / 1000 };
}
