import { c3, leastLoad, p2c, roundRobin, standardBalancer } from 'keelson/balancer';
import { told } from '../harness.mjs';

const sizes = [2, 3, 30, 1000];

/** @param {number} count @returns {import('keelson/core').Endpoint[]} */
export function endpointsOf(count) {
  return Array.from({ length: count }, (_, at) => ({
    id: `e${at}`,
    url: `http://10.0.${at >> 8}.${at & 255}:8080`,
    weight: 100,
    metadata: {},
  }));
}

/** Backlogs as busy servers report them, so that the order among the endpoints changes with each answer. */
const reports = Array.from({ length: 64 }, (_, at) => ({
  load: { backlogMs: ((at * 7) % 11) + 0.25, serviceMs: 2.9, perSecond: 300.5 },
}));

/**
 * @param {import('keelson/balancer').Balancer} balancer @param {number} size
 * @param {readonly (import('keelson/core').Feedback | undefined)[]} [feedback] in turn
 */
function pickOf(balancer, size, feedback = [undefined]) {
  balancer.update(endpointsOf(size), performance.now());
  let turn = 0;
  return told(({ now }) => {
    const lease = balancer.pick(now);
    if (lease === null) return 0;
    lease.release('success', now + 1, feedback[turn]);
    turn = turn + 1 === feedback.length ? 0 : turn + 1;
    return 1;
  });
}

/** Choosing an endpoint and giving the lease back. @returns {import('../harness.mjs').Subject} */
export function balancers() {
  return {
    title: 'Balancers: pick + release',
    cases: [
      {
        id: 'round-robin.3',
        name: 'roundRobin, 3 endpoints',
        against: 'sync',
        batch: pickOf(roundRobin(), 3),
      },
      ...sizes.map((size) => ({
        id: `p2c.${size}`,
        name: `p2c, ${size} endpoints`,
        against: 'sync',
        batch: pickOf(p2c(), size),
      })),
      ...[30, 1000].flatMap((size) => [
        {
          id: `least-load.${size}`,
          name: `leastLoad, ${size} endpoints that report`,
          against: 'sync',
          batch: pickOf(leastLoad(), size, reports),
        },
        {
          id: `c3.${size}`,
          name: `leastLoad by c3, ${size} endpoints that report`,
          against: 'sync',
          batch: pickOf(leastLoad({ meter: c3() }), size, reports),
        },
      ]),
      ...sizes.map((size) => ({
        id: `standard.${size}`,
        name: `standardBalancer, ${size} endpoints that report`,
        against: 'sync',
        batch: pickOf(standardBalancer(), size, reports),
      })),
    ],
  };
}
