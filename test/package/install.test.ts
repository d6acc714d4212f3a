import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { pkg, run, subpaths } from './pack.js';

type Names = Record<string, string[]>;

const consumer = inject('consumer');
const load = (file: string, code: string) => {
  writeFileSync(join(consumer, file), code);
  return JSON.parse(run(process.execPath, [file], consumer));
};

describe('tarball', () => {
  it('holds the build, the papers and the examples they link to, nothing else', () => {
    const odd = inject('packed').filter(
      (path) =>
        !/^(dist\/(esm|cjs)\/|examples\/|docs\/(ARCHITECTURE|backends|telemetry|telemetry-metrics|tied-requests)\.md$|package\.json$|README\.md$|LICENSE$|CHANGELOG\.md$)/.test(
          path,
        ),
    );
    expect(odd).toEqual([]);
    expect(inject('packed')).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'CHANGELOG.md']));
  });

  it('installs a bin that runs', () => {
    for (const name of Object.keys(pkg.bin)) {
      expect(run(join(consumer, 'node_modules', '.bin', name), ['--help'], consumer)).toMatch(name);
    }
  });
});

describe('installed elsewhere', () => {
  let imported: Names;
  let required: Names;

  beforeAll(() => {
    const list = JSON.stringify(subpaths);
    imported = load(
      'all.mjs',
      `const names = {};
for (const name of ${list}) names[name] = Object.keys(await import(name)).sort();
console.log(JSON.stringify(names));`,
    );
    required = load(
      'all.cjs',
      `const names = {};
for (const name of ${list}) names[name] = Object.keys(require(name)).sort();
console.log(JSON.stringify(names));`,
    );
  });

  it.each(subpaths)('%s loads by import', (name) => {
    expect(imported[name]).not.toEqual([]);
  });

  it.each(subpaths)('%s loads by require, with the same names', (name) => {
    expect(required[name]).toEqual(
      imported[name]?.filter((key) => key !== 'default' && key !== 'module.exports'),
    );
  });

  it('exposes its package.json', () => {
    expect(load('meta.cjs', `console.log(JSON.stringify(require('keelson/package.json').name))`)).toBe(
      'keelson',
    );
  });

  it('does not expose what is inside', () => {
    expect(() => load('deep.cjs', `require('keelson/dist/cjs/core/index.js')`)).toThrow(
      'ERR_PACKAGE_PATH_NOT_EXPORTED',
    );
  });

  it('knows the refusals of its other copy', () => {
    const code = `const cjs = require('keelson/core');
import('keelson/core').then((esm) => {
  const refusals = [cjs, esm].map(({ GovernanceError }) => Object.create(GovernanceError.prototype));
  console.log(JSON.stringify(refusals.flatMap((it) => [cjs.isGovernanceError(it), esm.isGovernanceError(it)])));
});`;
    expect(load('brand.cjs', code)).toEqual([true, true, true, true]);
  });

  it('shares the current call and call values with its other copy', () => {
    const code = `const cjs = require('keelson/core');
import('keelson/core').then(async (esm) => {
  const seen = [cjs !== esm && cjs.runWithCall !== esm.runWithCall];
  for (const [outer, inner] of [[cjs, esm], [esm, cjs]]) {
    const call = outer.createCall({ side: 'server', service: 'a', operation: 'GET' });
    call.values.set(outer.callKey('test.shared'), 'x');
    await outer.runWithCall(call, async () => {
      await null;
      seen.push(inner.currentCall() === call, inner.currentCall()?.values.get(inner.callKey('test.shared')) === 'x');
    });
  }
  console.log(JSON.stringify(seen));
});`;
    expect(load('shared.cjs', code)).toEqual([true, true, true, true, true]);
  });

  it('leaves the process free to end after importing everything', () => {
    const code = `import { performance } from 'node:perf_hooks';
for (const name of ${JSON.stringify(subpaths)}) await import(name);
const loaded = performance.now();
process.on('exit', () => console.log(Math.round(performance.now() - loaded)));`;
    expect(load('ends.mjs', code)).toBeLessThan(2000);
  });
});
