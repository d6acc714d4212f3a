import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The version in the package.json above a file. Looked up from the program that runs rather than from this module:
 * `import.meta` does not exist in the CommonJS half of the build, `__dirname` not in the other.
 *
 * @param program - path of the program, links followed: package managers link to it from `.bin`
 */
export function packageVersion(program: string): string {
  let folder = dirname(realpathSync(program));
  for (;;) {
    const version = versionIn(join(folder, 'package.json'));
    if (version !== undefined) return version;
    const above = dirname(folder);
    if (above === folder) return 'unknown';
    folder = above;
  }
}

function versionIn(file: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown; version?: unknown };
    // dist/cjs has a package.json of its own that only says "commonjs".
    return name === 'keelson' && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}
