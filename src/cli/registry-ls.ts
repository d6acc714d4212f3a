import { stringify } from '../discovery/lossless-json.js';
import { AskedRegistry, askFlags, askHelp } from './asked-registry.js';
import { type Command, type Terminal, UsageError } from './command.js';
import { parseFlags } from './parse-flags.js';
import { allInstances, inOrder, instanceHeads, instanceRow, textOf } from './shown-instance.js';
import { tableLines } from './table.js';

const help = `Usage: keelson registry ls [app...] [options]

Lists instances, of all apps or of those that are named, whether they take traffic or wait.

  --env <name>           of one env only
  --zone <name>          of one zone only
${askHelp}`;

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const flags = { ...askFlags, env: { type: 'string' }, zone: { type: 'string' } } as const;
  const { values, positionals: apps } = parseFlags(args, flags, true);
  if (values.help) {
    terminal.out(help);
    return 0;
  }
  if (apps.includes('')) throw new UsageError('an app needs a name');
  const { env, zone } = values;
  const registry = new AskedRegistry(values, terminal);
  try {
    const { data } = await registry.need('GET', 'fetch/all', new URLSearchParams({ stale: 'true' }));
    const found = inOrder(allInstances(data)).filter(
      (instance) =>
        (apps.length === 0 || apps.includes(textOf(instance, 'appid'))) &&
        (env === undefined || textOf(instance, 'env') === env) &&
        (zone === undefined || textOf(instance, 'zone') === zone),
    );
    if (values.json) terminal.out(stringify(found));
    else
      for (const line of tableLines(instanceHeads, found.map(instanceRow), terminal.people))
        terminal.out(line);
    return 0;
  } finally {
    registry.close();
  }
}

/** `keelson registry ls` */
export const registryLs: Command = { summary: 'list instances', run };
