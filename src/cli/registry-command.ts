import { isLoopback, parseListenAddress } from '../registry/address.js';
import { createRegistry, type RegistryServer } from '../registry/registry.js';
import { type RegistryOptions, registryDefaults } from '../registry/registry-options.js';
import { AskError } from './asked-registry.js';
import { type Command, type Terminal, UsageError } from './command.js';
import { logLine } from './log-line.js';
import { registryCancel } from './registry-cancel.js';
import { parseRegistryFlags, registryHelp } from './registry-flags.js';
import { registryLs } from './registry-ls.js';
import { registryNodes } from './registry-nodes.js';
import { registrySet } from './registry-set.js';
import { registryWatch } from './registry-watch.js';
import { printable } from './table.js';

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

const commands: ReadonlyMap<string, Command> = new Map([
  ['nodes', registryNodes],
  ['ls', registryLs],
  ['watch', registryWatch],
  ['set', registrySet],
  ['cancel', registryCancel],
]);

/** Runs one that asks a registry. */
async function ask(
  name: string,
  command: Command,
  { args, terminal }: { readonly args: readonly string[]; readonly terminal: Terminal },
): Promise<number> {
  try {
    return await command.run(args, terminal);
  } catch (error) {
    if (error instanceof UsageError) error.command = `registry ${name}`;
    if (!(error instanceof AskError)) throw error;
    terminal.err(printable(`keelson registry ${name}: ${error.message}`));
    return 1;
  }
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name = '', ...rest] = args;
  const command = commands.get(name);
  return command ? await ask(name, command, { args: rest, terminal }) : await serve(args, terminal);
}

async function serve(args: readonly string[], terminal: Terminal): Promise<number> {
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
  const { listen = registryDefaults.listen, token, tls } = options;
  if (token === undefined && tls?.ca === undefined && !isLoopback(parseListenAddress(listen).host))
    terminal.err(
      `keelson registry: whoever reaches ${listen} may write, since there is no --token-file and no --tls-ca`,
    );
  await interrupted;
  await registry.close();
  return 0;
}

/** `keelson registry` */
export const registryCommand: Command = {
  summary: 'run a registry that speaks the discovery protocol, or ask one',
  run,
};
