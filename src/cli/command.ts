/** What a command may touch of the process it runs in. */
export interface Terminal {
  /** Environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a person reads the output, rather than a program. */
  readonly people: boolean;
  /** Writes one line for whoever reads the output. */
  out(line: string): void;
  /** Writes one line of complaint. */
  err(line: string): void;
  /** Resolves with the name of the first signal that asks the process to end; the next one ends it at once. */
  interrupted(): Promise<string>;
}

/** One subcommand. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  /**
   * Runs to its end.
   *
   * @returns exit code
   * @throws UsageError when it is asked for something it does not have
   */
  run(args: readonly string[], terminal: Terminal): Promise<number>;
}

/** The command line is wrong. Told in one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** Which command, where it is not the first word alone: `registry ls`. */
  command: string | undefined;
}
