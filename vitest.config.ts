import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const src = fileURLToPath(new URL('./src', import.meta.url));
const { exports } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));

/** The package's own names lead to its sources, so a test reads like a user's code and covers what it runs. */
const alias = Object.entries<{ import?: { default: string } }>(exports).flatMap(
  ([subpath, { import: esm }]) => {
    if (!esm) return [];
    const name = `keelson${subpath.slice(1)}`;
    return [
      {
        find: new RegExp(`^${name}$`),
        replacement: esm.default.replace(/^\.\/dist\/esm(.*)\.js$/, `${src}$1.ts`),
      },
    ];
  },
);

export default defineConfig({
  resolve: {
    // Folders without a subpath (stats) have tests too.
    alias: [...alias, { find: /^keelson\/([a-z-]+)$/, replacement: `${src}/$1/index.ts` }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/package/**', 'node_modules/**'],
    pool: 'threads',
    // Most of them wait for sockets: with one worker on two cores, which is the default, both are idle half of the time.
    maxWorkers: '150%',
    setupFiles: ['test/setup.ts'],
    // Real servers and processes on cores that others use too: one test of thirty thousand fails for want of them. What was
    // run again is marked in the log; what fails twice fails.
    retry: process.env['CI'] ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
  },
});
