const maxTokens = 10;
const tokenRatio = 0.1;

/**
 * Source: gRPC proposal A6, "Throttling Retry Attempts and Hedged RPCs", with the numbers of its example: each failure
 * takes a token, each success gives a tenth of one back, and nothing is retried at half of the tokens or less.
 *
 * @returns {import('keelson/retry').RetryBudget}
 */
export function grpcThrottling() {
  let tokens = maxTokens;
  return {
    deposit: () => {
      tokens = Math.min(maxTokens, tokens + tokenRatio);
    },
    withdraw: () => {
      tokens = Math.max(0, tokens - 1);
      return tokens > maxTokens / 2;
    },
    snapshot: () => ({ available: tokens, withdrawn: 0, refused: 0 }),
  };
}
