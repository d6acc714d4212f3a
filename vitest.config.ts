import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const src = fileURLToPath(new URL('./src', import.meta.url));

/** The package's own names lead to its sources, so a test reads like a user's code and covers what it runs. */
const alias = [
  { find: /^keelson$/, replacement: `${src}/index.ts` },
  { find: /^keelson\/(limiter\/load|discovery\/dns)$/, replacement: `${src}/$1.ts` },
  { find: /^keelson\/([a-z-]+)$/, replacement: `${src}/$1/index.ts` },
];

export default defineConfig({
  resolve: { alias },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/package/**', 'node_modules/**'],
    pool: 'threads',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
  },
});
