import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { packageOf, serviceOf } from '../../../src/register/package-name.js';

const root = mkdtempSync(join(tmpdir(), 'keelson-package-name-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const files: Readonly<Record<string, string>> = {
  'app/package.json': '{"name":"@shop/orders","version":"1.2.3"}',
  'app/src/package.json': '{"type":"module"}',
  'app/broken/package.json': '{',
  'app/node_modules/next/package.json': '{"name":"next","version":"15.0.0"}',
  'app/node_modules/.pnpm/pm2@5/node_modules/pm2/package.json': '{"name":"pm2"}',
  'lib/node_modules/pm2/package.json': '{"name":"pm2","version":"5.0.0"}',
  'node_modules_of_mine/package.json': '{"name":"mine"}',
};
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

describe('the package of a program', () => {
  it.each([
    ['app/src/main.js', '.', '@shop/orders'],
    ['app/broken/main.js', '.', '@shop/orders'],
    ['app/node_modules/next/dist/bin/next', 'app', '@shop/orders'],
    ['app/node_modules/next/dist/bin/next', '.', '@shop/orders'],
    ['app/node_modules/.pnpm/pm2@5/node_modules/pm2/lib/ProcessContainerFork.js', 'app', '@shop/orders'],
    ['lib/node_modules/pm2/lib/ProcessContainerFork.js', 'app/src', '@shop/orders'],
    ['lib/node_modules/pm2/lib/ProcessContainerFork.js', 'lib/node_modules/pm2', undefined],
    ['node_modules_of_mine/main.js', '.', 'mine'],
    [undefined, 'app/src', '@shop/orders'],
  ])('%s, run in %s: %s', (program, cwd, name) => {
    expect(packageOf(program === undefined ? undefined : join(root, program), join(root, cwd)).name).toBe(
      name,
    );
  });

  it('has a version too, and a relative path counts from where it runs', () => {
    expect(packageOf('src/main.js', join(root, 'app'))).toEqual({ name: '@shop/orders', version: '1.2.3' });
  });
});

it('its name as one of a service', () => {
  expect(['@shop/orders', 'orders', 'a b/c'].map(serviceOf)).toEqual(['shop-orders', 'orders', 'a-b-c']);
});
