/** @typedef {import('./goals.mjs').Figure} Figure */
/** @typedef {{ readonly title: string, readonly rows: readonly Row[] }} Section */
/** @typedef {Figure & { id: string, name: string, timesBare: number, addedNs: number, addedBytes: number }} Row */

/** @param {readonly import('./harness.mjs').Subject[]} subjects @param {Record<string, Figure>} figures @returns {Section[]} */
export function sectionsOf(subjects, figures) {
  return subjects.map(({ title, cases }) => ({
    title,
    rows: cases.map(({ id, name, against = 'bare' }) => {
      const figure = known(figures, id);
      const base = known(figures, against);
      return {
        id,
        name,
        ...figure,
        timesBare: figure.ns / known(figures, 'bare').ns,
        addedNs: figure.ns - base.ns,
        addedBytes: figure.bytes - base.bytes,
      };
    }),
  }));
}

/** @param {Record<string, Figure>} figures @param {string} id @returns {Figure} */
function known(figures, id) {
  const figure = figures[id];
  if (figure === undefined) throw new Error(`nothing was measured for ${id}`);
  return figure;
}

const columns = ['ns', 'median', '× bare', 'added ns', 'bytes', 'added bytes', 'instructions'];

/** @param {Row} row */
function cellsOf({ ns, medianNs, timesBare, addedNs, bytes, addedBytes, instructions }) {
  return [
    ns.toFixed(0),
    medianNs.toFixed(0),
    timesBare.toFixed(1),
    addedNs.toFixed(0),
    String(bytes),
    String(addedBytes),
    instructions === undefined ? '' : String(instructions),
  ];
}

/** @param {readonly Section[]} sections @returns {string} a table in Markdown */
export function tableOf(sections) {
  const counted = sections.some(({ rows }) => rows.some(({ instructions }) => instructions !== undefined));
  const shown = counted ? columns.length : columns.length - 1;
  /** @param {readonly string[]} cells */
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const width = Math.max(...sections.flatMap(({ rows }) => rows.map(({ name }) => name.length)));
  const heads = columns.slice(0, shown);
  const lines = [
    line(['case'.padEnd(width), ...heads]),
    line(['---', ...heads.map((head) => `${'-'.repeat(head.length - 1)}:`)]),
  ];
  for (const { title, rows } of sections) {
    lines.push(line([`**${title}**`.padEnd(width), ...heads.map((head) => ' '.repeat(head.length))]));
    for (const row of rows) {
      const cells = cellsOf(row).slice(0, shown);
      lines.push(
        line([row.name.padEnd(width), ...cells.map((cell, at) => cell.padStart(heads[at]?.length ?? 0))]),
      );
    }
  }
  return lines.join('\n');
}

/** @param {readonly import('./goals.mjs').Verdict[]} verdicts */
export function goalsText(verdicts) {
  return verdicts
    .map(({ goal, holds, figures }) => `${holds ? 'holds ' : 'MISSED'}  ${goal}\n        ${figures}`)
    .join('\n');
}
