import { readFileSync } from 'node:fs';
import { UsageError } from './command.js';

/**
 * Reads tokens: one a line, alone or after a name; what follows a `#` at the beginning of a line is a remark.
 *
 * @returns a token without a name, or tokens by name
 * @throws UsageError when there is none, or it cannot be read
 */
export function readTokenFile(path: string): string | Readonly<Record<string, string>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--token-file ${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const [only = ''] = lines;
  if (lines.length === 0) throw new UsageError(`--token-file ${path} is empty`);
  if (lines.length === 1 && !/\s/.test(only)) return only;
  const tokens = new Map<string, string>();
  for (const [at, line] of lines.entries()) {
    const [, name, token] = /^([\w.-]+)\s+(\S+)$/.exec(line) ?? [];
    if (name === undefined || token === undefined || tokens.has(name))
      throw new UsageError(`--token-file ${path}: line ${at + 1} is not a name of its own and a token`);
    // An object puts such names first, and the first token is the one that is shown.
    if (/^\d+$/.test(name))
      throw new UsageError(`--token-file ${path}: line ${at + 1} has a name of digits alone`);
    tokens.set(name, token);
  }
  return Object.fromEntries(tokens);
}

/** The token that a client shows: of several the first. */
export function firstToken(tokens: string | Readonly<Record<string, string>>): string {
  return typeof tokens === 'string' ? tokens : (Object.values(tokens)[0] ?? '');
}
