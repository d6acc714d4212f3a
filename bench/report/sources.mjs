import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {import('./figure.mjs').Source} Source */

/**
 * All JSON files of a folder, by the parts and studies that are in them.
 *
 * @param {string} folder
 * @returns {Map<string, Source>}
 * @throws RangeError when a file does not say where it comes from, or two are about the same
 */
export function readSources(folder) {
  /** @type {Map<string, Source>} */
  const sources = new Map();
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.json')) continue;
    const { about, ...parts } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    if (typeof about?.commit !== 'string' || typeof about.command !== 'string')
      throw new RangeError(`${file} does not say which commit and command it comes from`);
    for (const [part, data] of Object.entries(parts)) {
      const other = sources.get(part);
      if (other !== undefined) throw new RangeError(`${part} is in ${other.file} and in ${file}`);
      sources.set(part, { about, file, data });
    }
  }
  return sources;
}
