import {
  BulkheadPolicy,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  noop,
  retry,
  wrap,
} from 'cockatiel';
import CircuitBreaker from 'opossum';
import { awaited } from '../harness.mjs';
import { answer } from './baselines.mjs';

const halfOpenAfter = 10_000;
const cockatielBreaker = () =>
  circuitBreaker(handleAll, { halfOpenAfter, breaker: new ConsecutiveBreaker(5) });

/** What others on npm add to a call. @returns {import('../harness.mjs').Subject} */
export function peers() {
  const usual = new CircuitBreaker(answer);
  // Its cheapest form that still breaks: no timeout, no percentiles, no snapshot each second.
  const lean = new CircuitBreaker(answer, {
    timeout: false,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  });
  const breaker = cockatielBreaker();
  const wrapped = wrap(
    retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() }),
    cockatielBreaker(),
    new BulkheadPolicy(100, 0),
  );
  return {
    title: 'Peers',
    cases: [
      { id: 'opossum', name: 'opossum 9, defaults', batch: awaited(() => usual.fire()) },
      { id: 'opossum.lean', name: 'opossum 9, lean', batch: awaited(() => lean.fire()) },
      { id: 'cockatiel.noop', name: 'cockatiel 3, noop', batch: awaited(() => noop.execute(answer)) },
      {
        id: 'cockatiel.breaker',
        name: 'cockatiel 3, consecutive breaker',
        batch: awaited(() => breaker.execute(answer)),
      },
      {
        id: 'cockatiel.wrap',
        name: 'cockatiel 3, wrap(retry, breaker, bulkhead)',
        batch: awaited(() => wrapped.execute(answer)),
      },
    ],
    close: () => {
      usual.shutdown();
      lean.shutdown();
    },
  };
}
