import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { ofWhich } from '../../../src/core/option-names.js';

const client = [
  'timeoutMs',
  'perTryTimeoutMs',
  'retry',
  'hedge',
  'tied',
  'retryBudget',
  'limits',
  'use',
  'useAttempt',
  'metrics',
];

describe('the name that is meant', () => {
  it.each([
    ['retries', client, 'retry'],
    ['retrys', client, 'retry'],
    ['rertyBudget', client, 'retryBudget'],
    ['retryBudgt', client, 'retryBudget'],
    ['metric', client, 'metrics'],
    ['limit', client, 'limits'],
    ['timeout', client, 'timeoutMs'],
    ['perTryTimeout', client, 'perTryTimeoutMs'],
    ['useAtempt', client, 'useAttempt'],
    ['deit', client, undefined],
    ['teid', client, 'tied'],
    ['breaker', client, undefined],
    ['headers', client, undefined],
    ['x', client, undefined],
    ['minReqests', ['consecutiveFailures', 'maxRequests', 'minRequests', 'windowMs'], 'minRequests'],
    ['windwoMs', ['consecutiveFailures', 'minRequests', 'windowMs'], 'windowMs'],
    ['GetUsr', ['ListUsers', 'GetUser', 'GetUserByName'], 'GetUser'],
    ['', client, undefined],
    ['retry', [], undefined],
  ])('%s of %j: %s', (given, known, meant) => {
    const question = meant === undefined ? '; there are' : `: did you mean ${meant}? There are`;
    expect(ofWhich(given, known)).toBe(`${question} ${known.join(', ')}`);
  });
});
