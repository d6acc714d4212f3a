import { defineConfig } from 'vitest/config';

/** Tests of what is published: the tarball, installed elsewhere. Slow (npm, tsc, jest), so apart from `npm test`. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    globalSetup: ['test/package/pack.ts'],
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
