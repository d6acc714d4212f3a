import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';
import { build } from 'esbuild';
import { describe, expect, inject, it } from 'vitest';
import { portable, run } from './pack.js';

const consumer = inject('consumer');

/** What the subpath's files ask for beside each other: names of packages and of Node's modules. */
async function outsideOf(name: string, kind: 'import' | 'require'): Promise<string[]> {
  const code =
    kind === 'import'
      ? `import * as all from '${name}'; export { all }`
      : `module.exports = require('${name}')`;
  const { metafile } = await build({
    stdin: { contents: code, resolveDir: consumer, loader: 'js' },
    bundle: true,
    write: false,
    metafile: true,
    treeShaking: false,
    format: kind === 'import' ? 'esm' : 'cjs',
    platform: 'node',
    logLevel: 'silent',
    plugins: [
      {
        name: 'only-ours',
        setup: ({ onResolve }) => {
          onResolve({ filter: /^[^.]/ }, ({ path }) =>
            path === name || path.startsWith('/') ? undefined : { path, external: true },
          );
        },
      },
    ],
  });
  const inputs = Object.values(metafile.inputs);
  expect(inputs.length).toBeGreaterThan(1);
  return inputs.flatMap(({ imports }) => imports.filter(({ external }) => external).map(({ path }) => path));
}

describe.each(portable)('%s', (name) => {
  it.each(['import', 'require'] as const)('names no dependency and no node: module (%s)', async (kind) => {
    expect(await outsideOf(name, kind)).toEqual([]);
  });

  it('loads none when it runs', () => {
    // Away from any node_modules, with a module of the same kind loaded first, so that only what we ask for is new.
    const lonely = join(consumer, '..', 'lonely');
    cpSync(join(consumer, 'node_modules', 'keelson'), lonely, { recursive: true });
    writeFileSync(join(lonely, 'first.mjs'), 'export {}');
    writeFileSync(join(lonely, 'first.cjs'), '');
    const seen = (load: string) => `
import { builtinModules } from 'node:module';
const known = () => process.moduleLoadList.flatMap((entry) => entry.match(/^NativeModule (.+)$/)?.slice(1) ?? []);
${load.replace('$', 'first')}
const before = new Set(known());
${load.replace('$', `dist/$KIND/${name.replace('keelson/', '')}/index`)}
console.log(JSON.stringify(known().filter((id) => !before.has(id) && builtinModules.includes(id))));`;
    const esm = seen(`await import('./$.EXT');`).replace('first.EXT', 'first.mjs').replace('$KIND', 'esm');
    const cjs = seen(`process.getBuiltinModule('node:module').createRequire(import.meta.url)('./$.EXT');`)
      .replace('first.EXT', 'first.cjs')
      .replace('$KIND', 'cjs');
    for (const [file, code] of Object.entries({ 'esm.mjs': esm, 'cjs.mjs': cjs })) {
      writeFileSync(join(lonely, file), code.replaceAll('.EXT', '.js'));
      expect(JSON.parse(run(process.execPath, [file], lonely)), file).toEqual([]);
    }
  });

  it('loads where there is nothing but the language', async () => {
    const { outputFiles } = await build({
      stdin: { contents: `import * as all from '${name}'; result = Object.keys(all)`, resolveDir: consumer },
      bundle: true,
      write: false,
      format: 'iife',
      platform: 'browser',
      logLevel: 'silent',
    });
    const bare: { result: string[] } = { result: [] };
    vm.runInNewContext(outputFiles[0]?.text ?? '', bare);
    expect(bare.result.length).toBeGreaterThan(0);
  });
});
