import { writeFileSync } from 'node:fs';

/** More than that is noise. */
const digits = 6;

/** @param {unknown} value */
const isLeaf = (value) => typeof value !== 'object' || value === null;

/** @param {unknown} value @returns {string} */
const leaf = (value) =>
  JSON.stringify(typeof value === 'number' ? Number(value.toPrecision(digits)) : value) ?? 'null';

/**
 * As `JSON.stringify` does, with six significant digits, and an object or a list of plain values on one line: a cell of a
 * table is a line of a diff.
 *
 * @param {unknown} value
 * @param {string} [indent]
 * @returns {string}
 */
export function jsonText(value, indent = '') {
  if (isLeaf(value)) return leaf(value);
  const inner = `${indent}  `;
  const list = Array.isArray(value);
  const entries = list
    ? value.map((item) => ({ key: '', item }))
    : Object.entries(/** @type {object} */ (value))
        .filter(([, item]) => item !== undefined && typeof item !== 'function')
        .map(([key, item]) => ({ key: `${JSON.stringify(key)}: `, item }));
  const [open, close] = list ? ['[', ']'] : ['{', '}'];
  if (entries.length === 0) return open + close;
  if (entries.every(({ item }) => isLeaf(item) || (Array.isArray(item) && item.every(isLeaf)))) {
    const line = entries.map(({ key, item }) => key + flat(item)).join(', ');
    return list ? `[${line}]` : `{ ${line} }`;
  }
  const lines = entries.map(({ key, item }) => `${inner}${key}${jsonText(item, inner)}`);
  return `${open}\n${lines.join(',\n')}\n${indent}${close}`;
}

/** @param {unknown} item */
const flat = (item) => (Array.isArray(item) ? `[${item.map(leaf).join(', ')}]` : leaf(item));

/** @param {string} file `-` for standard output @param {object} value */
export function writeJson(file, value) {
  const text = `${jsonText(value)}\n`;
  if (file === '-') process.stdout.write(text);
  else writeFileSync(file, text);
}
