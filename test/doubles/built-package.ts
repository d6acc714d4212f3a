import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** What programs of tests ask for, and in which form. */
const esm = {
  index: join(root, 'src/index.ts'),
  otel: join(root, 'src/otel/index.ts'),
  grpc: join(root, 'src/grpc/index.ts'),
  axios: join(root, 'src/axios/index.ts'),
  register: join(root, 'src/register/index.ts'),
};
const cjs = { register: esm.register };

const exportsOf = {
  '.': { import: './esm/index.js' },
  './otel': { import: './esm/otel.js' },
  './grpc': { import: './esm/grpc.js' },
  './axios': { import: './esm/axios.js' },
  './register': { import: './esm/register.js', require: './cjs/register.cjs' },
};

/** The package as it is now, for programs of their own. */
export interface BuiltPackage {
  /** Programs in it import `keelson` by its name, and all else from the repository. */
  readonly folder: string;
  remove(): void;
}

/**
 * Builds the sources for programs that import and require them by name, without types and without the build of the package.
 *
 * @param programs - a folder whose files are put into it
 */
export async function builtPackage(programs: string): Promise<BuiltPackage> {
  // Below the repository, where its dependencies are found.
  const folder = join(root, '.cache', `package-${process.pid}-${Math.random().toString(36).slice(2)}`);
  mkdirSync(folder, { recursive: true });
  const common = { bundle: true, platform: 'node', packages: 'external', logLevel: 'silent' } as const;
  await Promise.all([
    build({ ...common, entryPoints: esm, format: 'esm', splitting: true, outdir: join(folder, 'esm') }),
    build({
      ...common,
      entryPoints: cjs,
      format: 'cjs',
      outdir: join(folder, 'cjs'),
      outExtension: { '.js': '.cjs' },
    }),
  ]);
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'keelson', version: '0.0.1', type: 'module', exports: exportsOf }),
  );
  cpSync(programs, folder, { recursive: true });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
