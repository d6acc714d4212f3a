/** What would move the cursor, break the line or turn the text around: names come from whoever registered them. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text from outside, fit for a terminal. */
export function printable(text: string): string {
  return text.replace(unprintable, '?');
}

/**
 * Lines of a table: under headings and in columns for people, or fields between tabs alone for other programs.
 *
 * @param people - whether it is read by people
 */
export function tableLines(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  people: boolean,
): readonly string[] {
  const cells = rows.map((row) => row.map(printable));
  if (!people) return cells.map((row) => row.join('\t'));
  const all = [heads, ...cells];
  const widths = heads.map((_, at) => all.reduce((widest, row) => Math.max(widest, row[at]?.length ?? 0), 0));
  return all.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
