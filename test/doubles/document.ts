import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A block of code in a document. */
export interface CodeBlock {
  /** What stands behind the fence: `ts`, `sh`. */
  readonly language: string;
  readonly code: string;
  /** In the document, for messages. */
  readonly line: number;
}

/** The blocks of a document, by its path in the repository. */
export function blocksOf(path: string): readonly CodeBlock[] {
  const text = readFileSync(`${root}/${path}`, 'utf8');
  return Array.from(
    text.matchAll(/^```(\w+)\n(.*?)^```$/gms),
    ({ 1: language = '', 2: code = '', index }) => ({
      language,
      code,
      line: text.slice(0, index).split('\n').length + 1,
    }),
  );
}

/** The queries of a document, one in each line of its blocks. */
export function queriesOf(path: string): readonly string[] {
  return blocksOf(path)
    .filter(({ language }) => language === 'promql')
    .flatMap(({ code }) => code.trim().split('\n'));
}
