import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** What a package says of itself. */
export interface PackageIdentity {
  readonly name: string | undefined;
  readonly version: string | undefined;
}

const nobody: PackageIdentity = { name: undefined, version: undefined };

function identityIn(folder: string): PackageIdentity | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    // One without a name says only of which kind the modules beside it are.
    if (typeof name !== 'string' || name === '') return undefined;
    return { name, version: typeof version === 'string' ? version : undefined };
  } catch {
    return undefined;
  }
}

/** What is installed runs a program, and is not it: pm2, next. */
function isInstalled(folder: string): boolean {
  return /[\\/]node_modules(?:[\\/]|$)/.test(folder);
}

/** The nearest `package.json` with a name, in a folder or above it. */
function nearest(start: string): PackageIdentity | undefined {
  let folder = start;
  for (;;) {
    const found = isInstalled(folder) ? undefined : identityIn(folder);
    if (found !== undefined) return found;
    const above = dirname(folder);
    if (above === folder) return undefined;
    folder = above;
  }
}

/**
 * The package that a program belongs to: the nearest `package.json` with a name above it, else above where it runs. Those in
 * a `node_modules` do not count.
 *
 * @param program - the file that Node was told to run; without one, where it runs
 */
export function packageOf(program: string | undefined, cwd: string): PackageIdentity {
  const own = program === undefined ? undefined : nearest(dirname(resolve(cwd, program)));
  return own ?? nearest(cwd) ?? nobody;
}

/** The name of a package as one of a service: `@shop/orders` is `shop-orders`. */
export function serviceOf(name: string): string {
  return name.replace(/^@/, '').replace(/[^\w.-]+/g, '-');
}
