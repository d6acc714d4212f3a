/**
 * A table in Markdown: the first column to the left, all others to the right.
 *
 * @param {readonly string[]} heads
 * @param {readonly (readonly string[])[]} rows a row that is shorter is filled with blanks
 */
export function markdown(heads, rows) {
  const cells = [heads, ...rows];
  const widths = heads.map((_, at) => Math.max(3, ...cells.map((row) => row[at]?.length ?? 0)));
  /** @param {readonly string[]} row */
  const line = (row) =>
    `| ${widths.map((width, at) => (at === 0 ? (row[at] ?? '').padEnd(width) : (row[at] ?? '').padStart(width))).join(' | ')} |`;
  const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(heads), line(rule), ...rows.map(line)].join('\n');
}
