import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

// package.json says once which subpaths exist. Whatever must repeat that is compared with it here.

const root = fileURLToPath(new URL('../..', import.meta.url));
const json = (name: string) => ts.parseConfigFileTextToJson(name, readFileSync(root + name, 'utf8')).config;
const pkg = json('package.json');

const entries = Object.keys(pkg.exports)
  .filter((subpath) => subpath !== './package.json')
  .map((subpath) => ({
    subpath,
    source: pkg.exports[subpath].import.default.replace(/^\.\/dist\/esm\/(.*)\.js$/, 'src/$1.ts'),
  }));

describe('every subpath', () => {
  it.each(entries)('$subpath has a source, $source', ({ source }) => {
    expect(existsSync(root + source)).toBe(true);
  });

  it.each(entries)('$subpath leads import, require and types to the same file', ({ subpath, source }) => {
    const built = (kind: string, extension: string) =>
      source.replace(/^src\/(.*)\.ts$/, `./dist/${kind}/$1${extension}`);
    expect(pkg.exports[subpath]).toEqual({
      import: { types: built('esm', '.d.ts'), default: built('esm', '.js') },
      require: { types: built('cjs', '.d.ts'), default: built('cjs', '.js') },
    });
  });

  it.each(entries)('$subpath is found by old resolvers', ({ subpath }) => {
    const types = subpath === '.' ? pkg.types : pkg.typesVersions['*'][subpath.slice(2)]?.[0];
    expect(types).toBe(pkg.exports[subpath].require.types);
  });

  it.each(entries)('$subpath is found by the type checker of tests and examples', ({ subpath, source }) => {
    const { paths } = json('tsconfig.check.json').compilerOptions;
    const name = `keelson${subpath.slice(1)}`;
    const wild = /^keelson\/([^/]+)$/.exec(name)?.[1] ?? '';
    expect(paths[name] ?? paths['keelson/*'].map((path: string) => path.replace('*', wild))).toEqual([
      `./${source}`,
    ]);
  });

  it('is in the reference', () => {
    expect(json('typedoc.json').entryPoints).toEqual(entries.map(({ source }) => source));
  });
});
