import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const source = fileURLToPath(new URL('../../src', import.meta.url));

/**
 * Runs a program of its own that imports one module of the package, and waits until it ends by itself.
 *
 * @param module - its name, and where it is below the sources: `['keelson/discovery/etcd', 'discovery/etcd.ts']`
 */
export async function loneProgram(
  module: readonly [string, string],
  code: string,
): Promise<{ readonly status: number | null; readonly output: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-program-'));
  const file = join(folder, 'program.mjs');
  try {
    await build({
      stdin: { contents: code, resolveDir: folder, loader: 'js' },
      alias: { [module[0]]: join(source, module[1]) },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: file,
      logLevel: 'silent',
    });
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    // One that is held for ever must not hold the tests, too.
    const limit = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(limit);
    return { status, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
