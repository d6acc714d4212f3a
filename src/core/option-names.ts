import { aboutOption } from './in-name-of.js';

/** Damerau's distance, by optimal alignment: two letters in the wrong order are one slip. */
function distance(one: string, other: string): number {
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      const change = (row[j - 1] as number) + (same ? 0 : 1);
      const least = Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1);
      const crossed = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      next.push(crossed ? Math.min(least, (before[j - 2] as number) + 1) : least);
    }
    before = row;
    row = next;
  }
  return row[other.length] as number;
}

/**
 * How far a name is from what was given; `Infinity` where nobody would call it a slip. Who stops early or goes on (`timeout` for
 * `timeoutMs`, `retries` for `retry`) has at least begun well, and comes before all who have not.
 */
function farness(given: string, name: string): number {
  const steps = distance(given, name);
  const longer = given.length > name.length ? given : name;
  const shorter = longer === given ? name : given;
  if (given.length > 2 && shorter.length > 2) {
    // But for an ending: `retries` is `retr` and more, as `retry` is.
    const stem = shorter.slice(0, shorter.length > 4 ? -1 : undefined);
    // The half of a name says more than one slip, and less than that says less.
    const half = shorter.length * 2 >= longer.length;
    if (longer.startsWith(stem)) return half ? steps / (longer.length + 1) : 1.5;
    if (longer.includes(shorter)) return half ? 1 : 1.5;
  }
  return steps <= Math.max(1, Math.floor(given.length / 3)) ? steps : Number.POSITIVE_INFINITY;
}

/** The name that was meant, if one is much like it. */
function nearest(given: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const far = farness(given.toLowerCase(), name.toLowerCase());
    if (far >= least) continue;
    best = name;
    least = far;
  }
  return best;
}

/** The end of a message about a name that does not exist: the one that may be meant, and all that do. */
export function ofWhich(given: string, known: readonly string[]): string {
  const meant = nearest(given, known);
  return `${meant === undefined ? '; there are' : `: did you mean ${meant}? There are`} ${known.join(', ')}`;
}

/**
 * The error for an option that does not exist, with the one that may be meant.
 *
 * @param owner - where it was given: `sre`
 */
export function unknownOption(owner: string, option: string, known: readonly string[]): TypeError {
  return aboutOption(new TypeError(`${owner}.${option} is not an option${ofWhich(option, known)}`));
}
