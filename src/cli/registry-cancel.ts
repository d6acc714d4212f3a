import { askHelp } from './asked-registry.js';
import type { Command, Terminal } from './command.js';
import { namedInstances, nameFlags, nameHelp, withRegistry } from './named-instances.js';
import { parseFlags } from './parse-flags.js';
import { printable } from './table.js';

const help = `Usage: keelson registry cancel <app> <hostname...> [options]

Takes instances out. One that still renews registers again; to keep it out of traffic set its status to waiting.

${nameHelp}
${askHelp}`;

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = parseFlags(args, nameFlags, true);
  if (values.help) {
    terminal.out(help);
    return 0;
  }
  const { env, zone, appid, hostnames } = namedInstances(positionals, values, terminal);
  return await withRegistry(values, terminal, async (registry) => {
    let failed = 0;
    for (const hostname of hostnames) {
      const form = new URLSearchParams({ zone, env, appid, hostname });
      const reply = await registry.ask('POST', 'cancel', { form });
      const { code } = reply;
      if (values.json) terminal.out(JSON.stringify({ env, zone, appid, hostname, code }));
      else if (code === 0) terminal.out(printable(`cancelled ${appid} ${hostname}`));
      if (code === 0) continue;
      failed++;
      terminal.err(printable(`keelson registry cancel: ${hostname}: ${registry.refusal(reply).message}`));
    }
    return failed === 0 ? 0 : 1;
  });
}

/** `keelson registry cancel` */
export const registryCancel: Command = { summary: 'take instances out', run };
