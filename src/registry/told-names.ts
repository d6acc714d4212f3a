import type { InstanceId } from './instance-id.js';

/** Characters of the names in one line. */
const lineLength = 1_024;

/** Names may hold anything: what parts them is written as in a URL. */
function escaped(name: string): string {
  return name.replace(/[%,/]/g, encodeURIComponent);
}

/** Names that fit into a line of the log. */
export interface ToldNames {
  /** How many they are. */
  readonly count: number;
  /** Each with its parts joined by `/`, all joined by `,`. */
  readonly names: string;
}

/** Names all of them, in as many lines as that takes: what is left out of a log is where somebody would hide. */
export function* toldNames(all: Iterable<readonly string[]>): Iterable<ToldNames> {
  let count = 0;
  let names = '';
  for (const parts of all) {
    const name = parts.map(escaped).join('/');
    if (count > 0 && names.length + 1 + name.length > lineLength) {
      yield { count, names };
      count = 0;
      names = '';
    }
    names += count === 0 ? name : `,${name}`;
    count++;
  }
  if (count > 0) yield { count, names };
}

/** Likewise instances: `env/appid/zone/hostname`. */
export function toldInstances(ids: readonly InstanceId[]): Iterable<ToldNames> {
  return toldNames(ids.map(({ env, appid, zone, hostname }) => [env, appid, zone, hostname]));
}
