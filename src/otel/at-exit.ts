type LastWords = () => void;

const slot = Symbol.for('keelson.last-words.v1');
// Of all copies of the package: whichever of them ends the process, it ends for all.
const home = globalThis as { [slot]?: Set<LastWords> };

/**
 * Runs what is to be run at the last moment of the process. What it throws is dropped, since the exit code is somebody else's.
 * Whoever ends the process by a signal calls it before: then no `exit` is emitted.
 */
export function lastWords(): void {
  for (const last of [...(home[slot] ?? [])])
    try {
      last();
    } catch {
      // There is nobody left to tell.
    }
}

/**
 * Runs a function at the last moment of a process that ends at once, by `process.exit`, by an error that nobody caught, or by
 * a signal that we raise: nothing can be waited for then. It may run twice.
 *
 * @returns what takes it away
 */
export function atExit(last: LastWords): () => void {
  home[slot] ??= new Set();
  const all = home[slot];
  // A wrapper of its own, so that the same function given twice is two.
  const entry: LastWords = () => last();
  all.add(entry);
  if (all.size === 1) process.on('exit', lastWords);
  return () => {
    if (all.delete(entry) && all.size === 0) process.off('exit', lastWords);
  };
}
