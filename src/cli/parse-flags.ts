import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './command.js';

type Flags = NonNullable<ParseArgsConfig['options']>;

/** What a command line holds. */
export interface Parsed<Given extends Flags> {
  /** Flags by name. */
  readonly values: ReturnType<typeof parseArgs<{ options: Given; strict: true }>>['values'];
  /** What stands between them. */
  readonly positionals: readonly string[];
}

/**
 * Reads flags, and what stands between them.
 *
 * @param positionals - whether anything may
 * @throws UsageError for what is not among them
 */
export function parseFlags<const Given extends Flags>(
  args: readonly string[],
  options: Given,
  positionals = false,
): Parsed<Given> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: positionals });
  } catch (error) {
    // Node explains at length; its first sentence says what is wrong.
    const [sentence = ''] = (error as Error).message.split(/\.\s|\n/);
    throw new UsageError(sentence.replace(/\.$/, ''), { cause: error });
  }
}

/** @throws UsageError when it is none */
export function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new UsageError(`--${flag} takes a whole number, got ${JSON.stringify(text)}`);
  return Number(text);
}
