import { type Command, type Terminal, UsageError } from './command.js';
import { registryCommand } from './registry-command.js';

const commands: ReadonlyMap<string, Command> = new Map([['registry', registryCommand]]);

function help(): string {
  const list = [...commands].map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`);
  return [
    'Usage: keelson <command> [options]',
    '',
    ...list,
    '',
    '  keelson <command> --help    what a command takes',
    '  keelson --version           the version of this package',
  ].join('\n');
}

async function dispatch(args: readonly string[], terminal: Terminal, version: () => string): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--version' || name === '-v') terminal.out(version());
  else if (name === '--help' || name === '-h' || name === 'help') terminal.out(help());
  else if (name === undefined) throw new UsageError('a command is missing');
  else {
    const command = commands.get(name);
    if (command === undefined)
      throw new UsageError(
        `there is no ${name.startsWith('-') ? 'option' : 'command'} ${JSON.stringify(name)}`,
      );
    return await command.run(rest, terminal);
  }
  return 0;
}

/**
 * Runs the program.
 *
 * @param args - the command line without node and the script
 * @param version - asked only when it is to be shown
 * @returns exit code: 0 done, 1 failed, 2 the command line is wrong
 */
export async function runProgram(
  args: readonly string[],
  terminal: Terminal,
  version: () => string,
): Promise<number> {
  try {
    return await dispatch(args, terminal, version);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const named = error.command ?? (commands.has(args[0] ?? '') ? args[0] : undefined);
    const command = named === undefined ? 'keelson' : `keelson ${named}`;
    terminal.err(`${command}: ${error.message} (see ${command} --help)`);
    return 2;
  }
}
