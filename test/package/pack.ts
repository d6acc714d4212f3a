import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Absolute path of the packed tarball. */
    readonly tarball: string;
    /** Paths inside the tarball. */
    readonly packed: string[];
    /** A folder elsewhere with the tarball and the peers that some subpath imports installed, and nothing else. */
    readonly consumer: string;
  }
}

export const root = fileURLToPath(new URL('../..', import.meta.url));

interface Exports {
  readonly [subpath: string]: string | { readonly import: { readonly default: string } };
}
export const pkg: {
  readonly bin: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly exports: Exports;
} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What users write after `from`: `keelson`, `keelson/core`, … */
export const subpaths = Object.keys(pkg.exports)
  .filter((subpath) => subpath !== './package.json')
  .map((subpath) => `keelson${subpath.slice(1)}`);

/** These run in workers, at the edge, in bundlers: no dependency, no `node:` module. */
export const portable = ['core', 'breaker', 'limiter', 'balancer', 'retry', 'deadline'].map(
  (name) => `keelson/${name}`,
);

/** Runs a program to its end and gives back what it printed; throws with all of it when it failed. */
export function run(command: string, args: readonly string[], cwd: string): string {
  // NODE_ENV and VITEST would change how the tools behave; npm_* would let them think they are inside `npm test`.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(NODE_ENV|VITEST.*|TEST|npm_(?!config_).*)$/.test(name),
    ),
  );
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** A fresh project in a new folder under `base`, with these packages installed. */
export function project(base: string, name: string, packages: readonly string[]): string {
  const folder = join(base, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true }));
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...packages], folder);
  return folder;
}

/** The peers that are imported when a subpath is, by name; all others are handed over by the user. */
const imported = [
  '@opentelemetry/api',
  '@grpc/grpc-js',
  '@connectrpc/connect',
  // Of Connect, which names it as a peer of its own.
  '@bufbuild/protobuf',
];

export const peers = imported.map((name) => `${name}@${pkg.devDependencies[name]}`);

/** What a bundle for measuring leaves out. */
export const foreign = [...Object.keys(pkg.peerDependencies), ...imported];

export function setup({ provide }: TestProject): () => void {
  const base = mkdtempSync(join(tmpdir(), 'keelson-package-'));
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', base];
  const [packed] = JSON.parse(run('npm', pack, root));
  const tarball = join(base, packed.filename);
  provide('tarball', tarball);
  provide(
    'packed',
    packed.files.map(({ path }: { path: string }) => path),
  );
  provide('consumer', project(base, 'consumer', [tarball, ...peers]));
  return () => rmSync(base, { recursive: true, force: true });
}
