import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type RegistryOptions, registryDefaults } from '../registry/registry-options.js';
import type { RegistryTlsOptions } from '../registry/tls-files.js';
import { UsageError } from './command.js';
import { parseFlags, wholeNumber } from './parse-flags.js';
import { readTokenFile } from './token-file.js';

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
  peers: { type: 'string' },
  snapshot: { type: 'string' },
  'token-file': { type: 'string' },
  'node-tokens': { type: 'string' },
  'open-reads': { type: 'boolean' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-ca': { type: 'string' },
  'rate-limit': { type: 'string' },
  'scheduler-dir': { type: 'string' },
  'protect-min-instances': { type: 'string' },
  'max-instances': { type: 'string' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Text of `keelson registry --help`. */
export const registryHelp = `Usage: keelson registry [options]
       keelson registry <command> [options]

Runs a registry that speaks the protocol of bilibili/discovery: one node alone or, with --peers, one of a cluster.
Nodes of bilibili/discovery can be among the peers, unless it wants a token or speaks TLS.

Commands that ask any registry of that protocol (keelson registry <command> --help):

  nodes    list the nodes of the cluster       set      change the status or the labels of instances
  ls       list instances                      cancel   take instances out
  watch    show every change of some apps

Options of the registry itself:

  --listen <host:port>           where to listen; port 0 takes a free one (${registryDefaults.listen})
  --advertise <host[:port]>      where clients reach it, if that is not where it listens ($KEELSON_ADVERTISE_HOST)
  --region <name>                its own region ($REGION, else ${registryDefaults.region})
  --zone <name>                  its own zone ($ZONE, else ${registryDefaults.zone})
  --env <name>                   its own env ($DEPLOY_ENV, else ${registryDefaults.env})
  --peers <node,...>             the other nodes: host:port, or zone=host:port in another zone; all nodes
                                 may be given the same list ($KEELSON_PEERS)
  --snapshot <file>              keeps the last list over a restart in that file
  --token-file <file>            requests must bear a token of that file: one alone, or lines of a name and
                                 a token, of which each is taken ($KEELSON_REGISTRY_TOKEN)
  --node-tokens <name,...>       by which of them nodes know each other; they show the first, to --peers
                                 alone (the first of the file)
  --open-reads                   reading takes no token
  --tls-cert <file>              certificate, with --tls-key <file>: speaks TLS; read again when they change
  --tls-ca <file>                everybody needs a certificate from an authority of that file
  --rate-limit <n>               most requests per second of one client (none)
  --scheduler-dir <folder>       zone schedulers, *.json: {"app_id", "env", "clients", "remark"}; read again
                                 when they change
  --protect-min-instances <n>    fewest instances for which expiry stops while most renewals
                                 are missing (${registryDefaults.protectMinInstances})
  --max-instances <n>            most instances it takes
  --quiet                        log nothing but the line that says where it listens
  -h, --help                     this text

It also answers /healthz, /readyz and, for Prometheus, /metrics. Every write is one line of the log, with who sent it.
Ends on SIGTERM or SIGINT once waiting polls are answered; a second signal ends it at once.`;

/** Of peers an empty list is one as well: there are none yet, but others may join. */
function list(text: string | undefined): readonly string[] | undefined {
  return text?.split(',').flatMap((item) => item.trim() || []);
}

/** A mistyped path is found out now, and not by a line of the log while nobody looks. */
function checkFolder(flag: string, folder: string | undefined): void {
  // An empty one is refused with the other options.
  if (folder && !existsSync(folder)) throw new UsageError(`--${flag}: there is no folder ${folder}`);
}

/** Both or neither; what is missing is found out by the registry. */
function tlsOf(cert: string | undefined, key: string | undefined, ca: string | undefined) {
  if (cert === undefined && key === undefined && ca === undefined) return undefined;
  return { cert, key, ca } as RegistryTlsOptions;
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
  const given = parseFlags(args, flags).values;
  const maxInstances = wholeNumber('max-instances', given['max-instances']);
  const requestsPerSecond = wholeNumber('rate-limit', given['rate-limit']);
  const tokenFile = given['token-file'];
  checkFolder('snapshot', given.snapshot === undefined ? undefined : dirname(given.snapshot));
  checkFolder('scheduler-dir', given['scheduler-dir']);
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
      peers: list(given.peers ?? (env['KEELSON_PEERS'] || undefined)),
      snapshot: given.snapshot,
      token: tokenFile === undefined ? env['KEELSON_REGISTRY_TOKEN'] || undefined : readTokenFile(tokenFile),
      nodeTokens: list(given['node-tokens']),
      openReads: given['open-reads'],
      tls: tlsOf(given['tls-cert'], given['tls-key'], given['tls-ca']),
      schedulers: given['scheduler-dir'],
      protectMinInstances: wholeNumber('protect-min-instances', given['protect-min-instances']),
      limits: { instances: maxInstances, requestsPerSecond },
    },
  };
}
