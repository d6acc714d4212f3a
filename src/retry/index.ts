/**
 * Further tries of a call: after a failure (`retry`), beside a slow one (`hedge`) or one that stands in line (`tied`),
 * within a budget for all calls.
 *
 * @module
 */
export { type HedgeOptions, hedge, hedgeDefaults } from './hedge.js';
export { type FailedTry, type RetryOptions, retry, retryDefaults } from './retry.js';
export {
  type RetryBudget,
  type RetryBudgetOptions,
  type RetryBudgetSnapshot,
  retryBudget,
  retryBudgetDefaults,
} from './retry-budget.js';
export { type TiedOptions, tied, tiedDefaults } from './tied.js';
export {
  type TiedPolicy,
  type TiedPolicyOptions,
  tiedPolicy,
  tiedPolicyDefaults,
} from './tied-policy.js';
