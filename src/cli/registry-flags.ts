import { parseArgs } from 'node:util';
import { type RegistryOptions, registryDefaults } from '../registry/registry-options.js';
import { UsageError } from './command.js';

/** What `keelson registry` was asked for. */
export interface RegistryFlags {
  readonly help: boolean;
  readonly quiet: boolean;
  readonly options: RegistryOptions;
}

const flags = {
  listen: { type: 'string' },
  advertise: { type: 'string' },
  region: { type: 'string' },
  zone: { type: 'string' },
  env: { type: 'string' },
  'protect-min-instances': { type: 'string' },
  'max-instances': { type: 'string' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Text of `keelson registry --help`. */
export const registryHelp = `Usage: keelson registry [options]

Runs a registry that speaks the protocol of bilibili/discovery: in memory, one node, no authentication.

  --listen <host:port>           where to listen; port 0 takes a free one (${registryDefaults.listen})
  --advertise <host[:port]>      where clients reach it, if that is not where it listens ($KEELSON_ADVERTISE_HOST)
  --region <name>                its own region ($REGION, else ${registryDefaults.region})
  --zone <name>                  its own zone ($ZONE, else ${registryDefaults.zone})
  --env <name>                   its own env ($DEPLOY_ENV, else ${registryDefaults.env})
  --protect-min-instances <n>    fewest instances for which expiry stops while most renewals
                                 are missing (${registryDefaults.protectMinInstances})
  --max-instances <n>            most instances it takes
  --quiet                        log nothing but the line that says where it listens
  -h, --help                     this text

Ends on SIGTERM or SIGINT once waiting polls are answered; a second signal ends it at once.`;

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new UsageError(`--${flag} takes a whole number, got ${JSON.stringify(text)}`);
  return Number(text);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    // Node explains at length; its first sentence says what is wrong.
    const [sentence = ''] = (error as Error).message.split(/\.\s|\n/);
    throw new UsageError(sentence.replace(/\.$/, ''), { cause: error });
  }
}

/**
 * Reads the command line of `keelson registry`; what it leaves open comes from the environment.
 *
 * @throws UsageError for an unknown flag or a bad value
 */
export function parseRegistryFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): RegistryFlags {
  const given = parse(args);
  const maxInstances = wholeNumber('max-instances', given['max-instances']);
  return {
    help: given.help === true,
    quiet: given.quiet === true,
    options: {
      listen: given.listen,
      // An empty variable is how shells and compose files say "not set".
      advertise: given.advertise ?? (env['KEELSON_ADVERTISE_HOST'] || undefined),
      region: given.region ?? (env['REGION'] || undefined),
      zone: given.zone ?? (env['ZONE'] || undefined),
      env: given.env ?? (env['DEPLOY_ENV'] || undefined),
      protectMinInstances: wholeNumber('protect-min-instances', given['protect-min-instances']),
      limits: maxInstances === undefined ? undefined : { instances: maxInstances },
    },
  };
}
