import { mkdirSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** For this user alone, as the files in it. */
const mode = 0o700;

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;

/**
 * Which folders to make: each is tried, and what its making threw is given back. Up to the nearest one that is there, and down
 * again, each once. What the platform has for this tries for ever where nothing can be made, as in `/proc`, and a thread with it.
 */
function* steps(folder: string): Generator<string, void, unknown> {
  const missing: string[] = [];
  let path = resolve(folder);
  for (;;) {
    const error = yield path;
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) {
      if (missing.length > 0 || error === undefined || codeOf(error) === 'EEXIST') break;
      throw error;
    }
    missing.push(path);
    path = dirname(path);
  }
  for (const next of missing.reverse()) {
    const error = yield next;
    // Somebody else was faster.
    if (error !== undefined && codeOf(error) !== 'EEXIST') throw error;
  }
}

/**
 * Makes a folder, and those that it is in.
 *
 * @throws (as a rejection) Error of the system when it cannot be made
 */
export async function makeFolder(folder: string): Promise<void> {
  const all = steps(folder);
  for (let step = all.next(); step.done !== true; )
    step = all.next(
      await mkdir(step.value, { mode }).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
}

/**
 * The same, done when it returns.
 *
 * @throws Error of the system when it cannot be made
 */
export function makeFolderNow(folder: string): void {
  const all = steps(folder);
  for (let step = all.next(); step.done !== true; ) {
    let failed: unknown;
    try {
      mkdirSync(step.value, { mode });
    } catch (error) {
      failed = error;
    }
    step = all.next(failed);
  }
}

/**
 * Makes a folder, and writes and removes a file there.
 *
 * @param path - of the file
 * @throws (as a rejection) Error of the system when one of it cannot be done
 */
export async function tryFolder(folder: string, path: string): Promise<void> {
  await makeFolder(folder);
  try {
    await writeFile(path, 'keelson', { mode: 0o600, flag: 'wx' });
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  }
  await rm(path);
}
