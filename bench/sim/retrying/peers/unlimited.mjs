/** Says yes to everything: what tries are without a budget. @returns {import('keelson/retry').RetryBudget} */
export const unlimited = () => ({
  deposit: () => undefined,
  withdraw: () => true,
  snapshot: () => ({ available: Number.POSITIVE_INFINITY, withdrawn: 0, refused: 0 }),
});
