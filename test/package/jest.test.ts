import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { peers, project, run, subpaths } from './pack.js';

const JEST = 'jest@30.5.2';

it('loads every subpath in a Jest project, which is CommonJS', () => {
  const folder = project(dirname(inject('consumer')), 'jest', [inject('tarball'), ...peers, JEST]);
  const code = `test.each(${JSON.stringify(subpaths)})('%s', (name) => {
  expect(Object.keys(require(name))).not.toEqual([]);
});
test('a policy works', async () => {
  const { GovernanceError, isGovernanceError } = require('keelson/core');
  expect(isGovernanceError(Object.create(GovernanceError.prototype))).toBe(true);
});`;
  writeFileSync(join(folder, 'all.test.js'), code);
  const report = JSON.parse(
    run(process.execPath, ['node_modules/jest/bin/jest.js', '--ci', '--json'], folder),
  );
  expect(report).toMatchObject({ success: true, numPassedTests: subpaths.length + 1 });
});
