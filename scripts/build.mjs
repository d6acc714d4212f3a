// Builds dist/esm and dist/cjs. Costs nothing when no input has changed since the last build.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const stamp = join(root, '.cache', 'build.stamp');
const tsc = join(root, 'node_modules', 'tsc7', 'bin', 'tsc');
const quiet = process.argv.includes('--quiet');
const pkg = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** @param {string} folder @returns {string[]} */
function filesOf(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Of names and bytes, so that a rename counts and a touch does not. @param {string[]} files */
function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

/** What the build reads, and what it wrote: a hand-edited or half-deleted dist is rebuilt as well. */
function fingerprint() {
  const configs = ['package.json', 'tsconfig.json', 'tsconfig.cjs.json', 'scripts/build.mjs'];
  const inputs = [...filesOf(join(root, 'src')), ...configs.map((name) => join(root, name))];
  return `${hashOf(inputs)} ${hashOf(filesOf(dist))}\n`;
}

/** @param {string} project @param {string} outDir @returns {Promise<void>} */
function compile(project, outDir) {
  return new Promise((resolve, reject) => {
    const args = [tsc, '-p', join(root, project), '--outDir', outDir];
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`tsc -p ${project} failed`))));
  });
}

/** Every file that package.json promises must be there, or a typo ships a broken subpath. */
function missingTargets() {
  /** @type {string[]} */
  const missing = [];
  /** @param {unknown} node */
  const walk = (node) => {
    if (typeof node === 'string') {
      if (!existsSync(join(root, node))) missing.push(node);
    } else if (node && typeof node === 'object') {
      Object.values(node).forEach(walk);
    }
  };
  walk([pkg.exports, pkg.typesVersions, pkg.bin, pkg.main, pkg.types]);
  return [...new Set(missing)];
}

async function build() {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint()) {
    if (!quiet) console.log('build: up to date');
    return;
  }
  const started = Date.now();
  const fresh = join(root, '.cache', `dist-${process.pid}`);
  try {
    await Promise.all([
      compile('tsconfig.json', join(fresh, 'esm')),
      compile('tsconfig.cjs.json', join(fresh, 'cjs')),
    ]);
    // Without it Node would read dist/cjs/*.js as ES modules, for the package says "type": "module".
    writeFileSync(join(fresh, 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
    rmSync(stamp, { force: true });
    rmSync(dist, { recursive: true, force: true });
    // Swapped in one step, so a program that runs from dist meanwhile never sees half a build.
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  const missing = missingTargets();
  if (missing.length > 0)
    throw new Error(`package.json names files that were not built:\n  ${missing.join('\n  ')}`);
  for (const file of Object.values(pkg.bin)) {
    if (!readFileSync(join(root, String(file)), 'utf8').startsWith('#!'))
      throw new Error(`${file} has no shebang`);
    chmodSync(join(root, String(file)), 0o755);
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, fingerprint());
  if (!quiet) console.log(`build: dist/esm and dist/cjs in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

try {
  await build();
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
