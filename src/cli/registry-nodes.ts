import { stringify } from '../discovery/lossless-json.js';
import { AskedRegistry, askFlags, askHelp } from './asked-registry.js';
import type { Command, Terminal } from './command.js';
import { parseFlags } from './parse-flags.js';
import { isMembers, textOf } from './shown-instance.js';
import { tableLines } from './table.js';

const help = `Usage: keelson registry nodes [options]

Lists the nodes of a registry's own zone, and whether the one that is asked reaches them.

${askHelp}`;

const statuses: Readonly<Record<string, string>> = { '0': 'up', '1': 'lost' };

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = parseFlags(args, askFlags);
  if (values.help) {
    terminal.out(help);
    return 0;
  }
  const registry = new AskedRegistry(values, terminal);
  try {
    const { data } = await registry.need('GET', 'nodes');
    const nodes = Array.isArray(data) ? data.filter(isMembers) : [];
    const rows = nodes.map((node) => {
      const status = textOf(node, 'status');
      return [textOf(node, 'addr'), textOf(node, 'zone'), statuses[status] ?? status];
    });
    if (values.json) terminal.out(stringify(nodes));
    else
      for (const line of tableLines(['ADDRESS', 'ZONE', 'STATUS'], rows, terminal.people)) terminal.out(line);
    return 0;
  } finally {
    registry.close();
  }
}

/** `keelson registry nodes` */
export const registryNodes: Command = { summary: 'list the nodes of the cluster', run };
