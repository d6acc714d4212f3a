import { askHelp } from './asked-registry.js';
import { type Command, type Terminal, UsageError } from './command.js';
import { namedInstances, nameFlags, nameHelp, withRegistry } from './named-instances.js';
import { parseFlags } from './parse-flags.js';
import { printable } from './table.js';

const help = `Usage: keelson registry set <app> <hostname...> [options]

Changes the status or the labels of instances. What is set lasts until they register anew.

  --status <status>      up: takes traffic; waiting: takes none
  --metadata <key=value> a label laid over those there are; may be repeated
${nameHelp}
${askHelp}`;

const statuses: ReadonlyMap<string, string> = new Map([
  ['up', '1'],
  ['waiting', '2'],
]);

function labelsOf(pairs: readonly string[]): string {
  const labels = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`--metadata takes key=value, got ${JSON.stringify(pair)}`);
    labels.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return JSON.stringify(Object.fromEntries(labels));
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const flags = {
    ...nameFlags,
    status: { type: 'string' },
    metadata: { type: 'string', multiple: true },
  } as const;
  const { values, positionals } = parseFlags(args, flags, true);
  if (values.help) {
    terminal.out(help);
    return 0;
  }
  const { env, zone, appid, hostnames } = namedInstances(positionals, values, terminal);
  const status = values.status === undefined ? undefined : statuses.get(values.status);
  if (values.status !== undefined && status === undefined)
    throw new UsageError(`--status takes up or waiting, got ${JSON.stringify(values.status)}`);
  if (status === undefined && values.metadata === undefined)
    throw new UsageError('nothing to set: --status or --metadata is missing');
  const form = new URLSearchParams({ zone, env, appid });
  const metadata = values.metadata && labelsOf(values.metadata);
  for (const hostname of hostnames) {
    form.append('hostname', hostname);
    if (status !== undefined) form.append('status', status);
    if (metadata !== undefined) form.append('metadata', metadata);
  }
  return await withRegistry(values, terminal, async (registry) => {
    await registry.need('POST', 'set', form);
    if (values.json) terminal.out(JSON.stringify({ env, zone, appid, hostnames, code: 0 }));
    else for (const hostname of hostnames) terminal.out(printable(`changed ${appid} ${hostname}`));
    return 0;
  });
}

/** `keelson registry set` */
export const registrySet: Command = { summary: 'change the status or the labels of instances', run };
