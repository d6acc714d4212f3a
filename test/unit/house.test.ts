import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkHouse } from '../../scripts/check-house.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const lines = (count: number) =>
  Array.from({ length: count }, (_, at) => `export const a${at} = 1;`).join('\n');

/** One file each, with the rule that it must wake: a rule that never bit anybody is a hope. */
const bad: Record<string, { rule: string; code: string; also?: Record<string, string> }> = {
  // biome.json
  'src/core/reach.ts': { rule: 'noRestrictedImports', code: "export { a } from '../stats/ewma.js';" },
  'src/breaker/reach.ts': { rule: 'noRestrictedImports', code: "export { a } from '../limiter/bbr.js';" },
  'src/breaker/deep/reach.ts': {
    rule: 'noRestrictedImports',
    code: "export { a } from '../../limiter/bbr.js';",
  },
  'src/balancer/reach.ts': { rule: 'noRestrictedImports', code: "export { a } from '../breaker/sre.js';" },
  'src/http/reach.ts': { rule: 'noRestrictedImports', code: "export type { A } from '../retry/retry.js';" },
  'src/stack/reach.ts': { rule: 'noRestrictedImports', code: "export { a } from '../cli/main.js';" },
  'src/testing/reach.ts': { rule: 'noRestrictedImports', code: "export { a } from '../stack/app.js';" },
  'src/retry/dynamic.ts': {
    rule: 'noRestrictedImports',
    code: "export const a = () => import('../http/wire.js');",
  },
  'src/retry/index-of.ts': { rule: 'noRestrictedImports', code: "export { a } from '../core/index.js';" },
  'src/retry/self.ts': { rule: 'noRestrictedImports', code: "export { a } from 'keelson/core';" },
  'src/core/bus.ts': { rule: 'noRestrictedImports', code: "export { EventEmitter } from 'eventemitter3';" },
  'src/limiter/file.ts': { rule: 'noNodejsModules', code: "export { readFile } from 'node:fs';" },
  'src/deadline/odd.ts': { rule: 'noUndeclaredDependencies', code: "export { a } from 'left-pad';" },
  'src/core/ring-a.ts': {
    rule: 'noImportCycles',
    code: "import type { B } from './ring-b.js';\n\nexport interface A {\n  b: B;\n}",
    also: {
      'src/core/ring-b.ts': "import type { A } from './ring-a.js';\n\nexport interface B {\n  a: A;\n}",
    },
  },
  'test/unit/inside.test.ts': {
    rule: 'noRestrictedImports',
    code: "export { a } from '../../src/core/call.js';",
  },
  'examples/inside.mjs': { rule: 'noRestrictedImports', code: "export { a } from '../dist/esm/index.js';" },
  // scripts/check-house.mjs
  'src/balancer/meet.ts': {
    rule: 'types only',
    code: "export { a, type B } from '../discovery/instance.js';",
  },
  'src/http/meet.ts': {
    rule: 'types only',
    code: "import { a } from '../discovery/instance.js';\nexport const b = a;",
  },
  'src/limiter/limiter.ts': { rule: 'contract', code: "export { bbr } from './bbr.js';" },
  'src/core/string-utils.ts': { rule: 'name', code: 'export const a = 1;' },
  'src/http/types.ts': { rule: 'name', code: 'export type A = 1;' },
  'src/stack/helpers/chain.ts': { rule: 'name', code: 'export const a = 1;' },
  'src/gateway/gateway.ts': { rule: 'floor', code: 'export const a = 1;' },
  'src/panel.ts': { rule: 'floor', code: 'export const a = 1;' },
  'src/stack/start.ts': { rule: 'import runs', code: 'setInterval(() => {}, 1000);\nexport const a = 1;' },
  'src/stack/index.ts': { rule: 'index', code: 'export const a = 1;' },
  'src/retry/index.ts': {
    rule: 'class',
    code: "export { Retry } from './a.js';",
    also: { 'src/retry/a.ts': 'export class Retry {}' },
  },
  'src/deadline/index.ts': {
    rule: 'parameters',
    code: "export { cut } from './cut.js';",
    also: {
      'src/deadline/cut.ts': 'export function cut(a: 1, b: 1, c: 1, d: 1) {\n  return [a, b, c, d];\n}',
    },
  },
  'src/stats/long.ts': { rule: 'size', code: lines(301) },
};

const good: Record<string, string> = {
  'src/balancer/pick.ts': [
    "import { b } from '../core/b.js';",
    "import type { A } from '../discovery/a.js';",
    "import { type C } from '../discovery/c.js';",
    'export const pick = (a: A, c: C) => [a, b, c];',
  ].join('\n'),
  'src/core/errors.ts':
    "export class Refusal extends Error {}\nObject.defineProperty(Refusal.prototype, 'x', { value: 1 });",
  'src/retry/index.ts': "export { retry, retryDefaults, type RetryOptions } from './retry.js';",
  'src/stats/commented.ts': `${'// why\n\n'.repeat(400)}export const a = \`two\nlines // no comment\`;`,
};

const folder = mkdtempSync(join(tmpdir(), 'keelson-house-'));
const write = (base: string, files: Record<string, string>) => {
  for (const [name, code] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), `${code}\n`);
  }
};

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('house rules', () => {
  const base = join(folder, 'bad');
  /** `file rule`, as biome and the script report them. */
  let found: string[] = [];

  beforeAll(() => {
    for (const [name, { code, also }] of Object.entries(bad)) write(base, { [name]: code, ...also });
    for (const name of ['biome.json', 'package.json']) cpSync(join(root, name), join(base, name));
    symlinkSync(join(root, 'node_modules'), join(base, 'node_modules'));
    const biome = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome');
    const args = ['lint', '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=github', '.'];
    const { stdout } = spawnSync(process.execPath, [biome, ...args], { cwd: base, encoding: 'utf8' });
    const own = checkHouse(base).map(({ file, rule }) => `${file} ${rule}`);
    const theirs = stdout.matchAll(/title=lint\/\w+\/(\w+),file=[^,]*?((?:src|test|examples)\/[^,]+)/g);
    found = [...own, ...Array.from(theirs, ([, rule, file]) => `${file} ${rule}`)];
  });

  it.each(Object.entries(bad).map(([file, { rule }]) => ({ file, rule })))(
    '$rule bites in $file',
    ({ file, rule }) => {
      expect(found).toContain(`${file} ${rule}`);
    },
  );

  it('leaves good files alone', () => {
    const tidy = join(folder, 'good');
    write(tidy, good);
    cpSync(join(root, 'biome.json'), join(tidy, 'biome.json'));
    expect(checkHouse(tidy)).toEqual([]);
  });

  it('finds a median that is too high', () => {
    const heavy = join(folder, 'heavy');
    write(heavy, {
      'src/core/a.ts': lines(81),
      'src/core/b.ts': lines(90),
      'src/core/c.ts': 'export const a = 1;',
    });
    cpSync(join(root, 'biome.json'), join(heavy, 'biome.json'));
    expect(checkHouse(heavy).map(({ rule, file }) => `${file} ${rule}`)).toEqual(['src size']);
  });
});
