import { createRegistry, type RegistryServer } from '../registry/registry.js';
import { type RegistryOptions, registryDefaults } from '../registry/registry-options.js';
import { type Command, type Terminal, UsageError } from './command.js';
import { logLine } from './log-line.js';
import { parseRegistryFlags, registryHelp } from './registry-flags.js';

/** What is wrong with the options is wrong with the command line. */
function make(options: RegistryOptions): RegistryServer {
  try {
    return createRegistry(options);
  } catch (error) {
    throw new UsageError((error as Error).message.replace('createRegistry.', ''), { cause: error });
  }
}

function listenFailure(error: unknown, listen: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `${listen} is in use`;
  if (code === 'EACCES') return `no permission to listen on ${listen}`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${listen} is no address of this machine`;
  return `cannot listen on ${listen}: ${message}`;
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const { help, quiet, options } = parseRegistryFlags(args, terminal.env);
  if (help) {
    terminal.out(registryHelp);
    return 0;
  }
  const registry = make({
    ...options,
    onEvent: ({ name, fields }) => {
      if (!quiet || name === 'listening') terminal.out(logLine(Date.now(), name, fields));
    },
  });
  // Asked for before it listens: a signal in between must not find the process deaf.
  const interrupted = terminal.interrupted();
  try {
    await registry.listen();
  } catch (error) {
    terminal.err(`keelson registry: ${listenFailure(error, options.listen ?? registryDefaults.listen)}`);
    return 1;
  }
  await interrupted;
  await registry.close();
  return 0;
}

/** `keelson registry` */
export const registryCommand: Command = {
  summary: 'run a registry that speaks the discovery protocol',
  run,
};
