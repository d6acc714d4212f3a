/** Reads a small file whole. May throw. */
export type ReadFile = (path: string) => string;

const noLimit = Number.POSITIVE_INFINITY;

/** The file's text without the last line end, or `undefined` if it cannot be read. */
export function textOf(readFile: ReadFile, path: string): string | undefined {
  try {
    return readFile(path).trim();
  } catch {
    return undefined;
  }
}

/** `NaN` for what is absent or no number. */
export function numberIn(text: string | undefined): number {
  return text === undefined || text === '' ? Number.NaN : Number(text);
}

/** `key value` lines, as in `cpu.stat`. */
export function fieldIn(text: string | undefined, name: string): number {
  const line = text?.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return numberIn(line?.slice(name.length + 1).trim());
}

/** CPUs that a quota amounts to; none where it is absent, "max", -1 or nonsense. */
export function quotaCpus(quota: number, period: number): number {
  const cpus = quota / period;
  return cpus > 0 && period > 0 ? cpus : noLimit;
}

/** How many CPUs a list such as `0-3,8` names; no limit where it is absent or nonsense. */
export function cpusInList(text: string | undefined): number {
  let count = 0;
  for (const part of text?.split(',') ?? []) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match === null) return noLimit;
    const first = Number(match[1]);
    count += Number(match[2] ?? first) - first + 1;
  }
  return count > 0 ? count : noLimit;
}
