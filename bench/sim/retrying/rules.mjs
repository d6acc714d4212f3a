import { retryBudget } from 'keelson/retry';
import { finagle } from './peers/finagle.mjs';
import { grpcThrottling } from './peers/grpc-throttling.mjs';
import { unlimited } from './peers/unlimited.mjs';

/**
 * How the clients of all tiers retry.
 *
 * @typedef {object} Rule
 * @property {number} attempts
 * @property {() => import('keelson/retry').RetryBudget} budget
 * @property {boolean} tells whether a tier says of a failure that it was retried further down
 * @property {boolean} breaks whether each client has a breaker
 */

/** @type {Readonly<Record<string, Rule>>} */
export const rules = {
  'no retries': { attempts: 1, budget: unlimited, tells: false, breaks: false },
  'naive, 2 tries': { attempts: 2, budget: unlimited, tells: false, breaks: false },
  'naive, 3 tries': { attempts: 3, budget: unlimited, tells: false, breaks: false },
  'gRPC throttling, 3 tries': { attempts: 3, budget: grpcThrottling, tells: false, breaks: false },
  'Finagle budget, 3 tries': { attempts: 3, budget: finagle, tells: false, breaks: false },
  'keelson budget': { attempts: 2, budget: retryBudget, tells: false, breaks: false },
  'keelson signal, no budget': { attempts: 2, budget: unlimited, tells: true, breaks: false },
  'keelson budget and signal': { attempts: 2, budget: retryBudget, tells: true, breaks: false },
  'keelson budget and signal, 3 tries': { attempts: 3, budget: retryBudget, tells: true, breaks: false },
  'keelson as it comes': { attempts: 2, budget: retryBudget, tells: true, breaks: true },
};
