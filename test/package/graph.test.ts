import { cpSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import vm from 'node:vm';
import { build } from 'esbuild';
import { describe, expect, inject, it } from 'vitest';
import { pkg, portable, run, subpaths } from './pack.js';

const consumer = inject('consumer');

interface Asked {
  readonly path: string;
  readonly kind: string;
}

/** What the subpath's files ask for beside each other: packages and Node's modules, and in which way. */
async function askedBy(name: string, kind: 'import' | 'require'): Promise<readonly Asked[]> {
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
  return inputs.flatMap(({ imports }) => imports.filter(({ external }) => external));
}

const outsideOf = async (name: string, kind: 'import' | 'require'): Promise<string[]> =>
  (await askedBy(name, kind)).map(({ path }) => path);

/**
 * The packages that each subpath loads when it is imported. Whatever else a user brings (axios, express, redis, opossum …)
 * is handed over, and never looked for.
 */
const loads: Record<string, readonly string[]> = {
  keelson: ['@opentelemetry/api', 'eventemitter3'],
  'keelson/stack': ['@opentelemetry/api', 'eventemitter3'],
  'keelson/telemetry': ['@opentelemetry/api'],
  'keelson/otel': ['@opentelemetry/api'],
  'keelson/register': ['@opentelemetry/api'],
  'keelson/grpc': ['@grpc/grpc-js'],
  'keelson/connect': ['@connectrpc/connect'],
};

/** Those that come when they are needed, and not before. */
const later: Record<string, readonly string[]> = {
  'keelson/auth': ['jose'],
  'keelson/otel': ['@grpc/grpc-js'],
  'keelson/register': ['@grpc/grpc-js'],
};

const packagesOf = (asked: readonly Asked[]): string[] =>
  [...new Set(asked.map(({ path }) => path))].filter((path) => !isBuiltin(path)).sort();

/** Tells the folders in `node_modules` that files were loaded from. */
const folders = `
const seen = (paths) => [...new Set(paths.flatMap((path) => path.split('/node_modules/').slice(1, 2)))]
  .map((path) => path.split('/').slice(0, path.startsWith('@') ? 2 : 1).join('/'))
  .filter((name, at, all) => name !== 'keelson' && all.indexOf(name) === at)
  .sort();`;

const hooks = `
let port;
export function initialize(given) { port = given.port; }
export function load(url, context, next) { port.postMessage(url); return next(url, context); }`;

const byImport = (name: string) => `
import { register } from 'node:module';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
${folders}
const { port1, port2 } = new MessageChannel();
register('./hooks.mjs', import.meta.url, { data: { port: port2 }, transferList: [port2] });
await import('${name}');
const urls = [];
for (let got = receiveMessageOnPort(port1); got; got = receiveMessageOnPort(port1)) urls.push(got.message);
console.log(JSON.stringify(seen([...urls, ...Object.keys((await import('node:module')).default._cache)])));
port1.close();`;

const byRequire = (name: string) => `
${folders}
require('${name}');
console.log(JSON.stringify(seen(Object.keys(require.cache))));`;

describe('packages beside it', () => {
  it('are known of every subpath that loads any', () => {
    expect(subpaths).toEqual(expect.arrayContaining([...Object.keys(loads), ...Object.keys(later)]));
  });

  it.each(subpaths)('are named by %s only if they are loaded', async (name) => {
    const now = loads[name] ?? [];
    const both = [...now, ...(later[name] ?? [])].sort();
    const asked = await askedBy(name, 'import');
    expect(packagesOf(asked.filter(({ kind }) => kind !== 'dynamic-import'))).toEqual(now);
    expect(packagesOf(asked)).toEqual(both);
    expect(packagesOf(await askedBy(name, 'require'))).toEqual(both);
  });

  it.each(subpaths)('are loaded by %s when it is, and no others', (name) => {
    writeFileSync(join(consumer, 'hooks.mjs'), hooks);
    writeFileSync(join(consumer, 'loads.mjs'), byImport(name));
    writeFileSync(join(consumer, 'loads.cjs'), byRequire(name));
    const now = loads[name] ?? [];
    for (const file of ['loads.mjs', 'loads.cjs']) {
      const loaded: string[] = JSON.parse(run(process.execPath, [file], consumer));
      // Theirs come along: protobuf with grpc-js, for example.
      const own = loaded.filter((folder) => now.includes(folder) || folder in pkg.peerDependencies);
      expect(own, file).toEqual(now);
      if (now.length === 0) expect(loaded, file).toEqual([]);
    }
  });
});

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
