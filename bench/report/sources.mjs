import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { overSeeds } from './over-seeds.mjs';

/** @typedef {import('./figure.mjs').Source} Source */

/** What one part wrote, by several seeds. @param {string} part @param {readonly Source[]} runs @returns {Source} */
function combined(part, runs) {
  const [first, other] = runs;
  if (first === undefined) throw new RangeError(`there is no ${part}`);
  if (other === undefined) return first;
  const combine = overSeeds[part];
  const seeds = new Set(runs.map(({ about }) => about.seed));
  if (combine === undefined || seeds.has(undefined) || seeds.size < runs.length)
    throw new RangeError(`${part} is in ${first.file} and in ${other.file}`);
  const alike = runs.every(
    ({ about }) => about.commit === first.about.commit && about.quick === first.about.quick,
  );
  if (!alike) throw new RangeError(`the seeds of ${part} are not of one commit, or not all of whole runs`);
  return { ...first, data: combine(runs.map(({ data }) => data)), runs };
}

/**
 * All JSON files of a folder, by the parts and studies that are in them. Of a part that can be run by several seeds there may
 * be several files.
 *
 * @param {string} folder
 * @returns {Map<string, Source>}
 * @throws RangeError when a file does not say where it comes from, or two are about the same
 */
export function readSources(folder) {
  /** @type {Map<string, Source[]>} */
  const found = new Map();
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.json')) continue;
    const { about, ...parts } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    if (typeof about?.commit !== 'string' || typeof about.command !== 'string')
      throw new RangeError(`${file} does not say which commit and command it comes from`);
    for (const [part, data] of Object.entries(parts))
      found.set(part, [...(found.get(part) ?? []), { about, file, data }]);
  }
  return new Map([...found].map(([part, runs]) => [part, combined(part, runs)]));
}
