import { p2c, roundRobin, standardBalancer } from 'keelson/balancer';
import { told } from '../harness.mjs';

const sizes = [2, 3, 30, 1000];

/** @param {number} count @returns {import('keelson/core').Endpoint[]} */
function endpointsOf(count) {
  return Array.from({ length: count }, (_, at) => ({
    id: `e${at}`,
    url: `http://10.0.${at >> 8}.${at & 255}:8080`,
    weight: 100,
    metadata: {},
  }));
}

/** @param {import('keelson/balancer').Balancer} balancer @param {number} size */
function pickOf(balancer, size) {
  balancer.update(endpointsOf(size), performance.now());
  return told(({ now }) => {
    const lease = balancer.pick(now);
    if (lease === null) return 0;
    lease.release('success', now + 1);
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
      ...sizes.map((size) => ({
        id: `standard.${size}`,
        name: `standardBalancer, ${size} endpoints`,
        against: 'sync',
        batch: pickOf(standardBalancer(), size),
      })),
    ],
  };
}
