import { standardBalancer } from 'keelson/balancer';
import { evidence } from 'keelson/breaker';
import { allOf, attempt } from 'keelson/core';
import { concurrency } from 'keelson/limiter';
import { awaited } from '../harness.mjs';
import { endpointsOf } from './balancers.mjs';
import { answer } from './baselines.mjs';

/** @typedef {import('keelson/core').Endpoint} Endpoint */

/** Breaker, limit and a choice among 30 endpoints around one call, without a stack. */
function chain() {
  const balancer = standardBalancer();
  balancer.update(endpointsOf(30), performance.now());
  /** @type {Endpoint | undefined} */
  let chosen;
  /** Who is picked holds a permit like any gate's. @type {import('keelson/core').Gate} */
  const choice = {
    code: 'NO_ENDPOINT',
    tryAcquire: (now) => {
      const lease = balancer.pick(now);
      chosen = lease?.endpoint;
      return lease;
    },
  };
  const gate = allOf([evidence(), concurrency({ limit: 100 }), choice]);
  return awaited(() =>
    attempt(gate, () => (chosen === undefined ? Promise.reject(new Error('nobody')) : answer())),
  );
}

/** The shortest way to have all of it. @returns {import('../harness.mjs').Subject} */
export function chains() {
  return {
    title: 'Chain',
    cases: [
      {
        id: 'chain',
        name: 'attempt(allOf([evidence(), concurrency(), pick of 30]), fn)',
        batch: chain(),
      },
    ],
  };
}
