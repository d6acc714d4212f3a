import { AskedRegistry, askFlags } from './asked-registry.js';
import { type Terminal, UsageError } from './command.js';

/** Flags of every command that changes instances. */
export const nameFlags = { ...askFlags, env: { type: 'string' }, zone: { type: 'string' } } as const;

/** What the help of each of them says of these. */
export const nameHelp = `  --env <name>           their env ($DEPLOY_ENV, else default)
  --zone <name>          their zone ($ZONE, else default)`;

/** Instances that a command line names. */
export interface NamedInstances {
  readonly env: string;
  readonly zone: string;
  readonly appid: string;
  readonly hostnames: readonly string[];
}

/** @throws UsageError when an app or a host is missing */
export function namedInstances(
  [appid = '', ...hostnames]: readonly string[],
  flags: { readonly env?: string | undefined; readonly zone?: string | undefined },
  { env: variables }: Terminal,
): NamedInstances {
  if (appid === '') throw new UsageError('the app is missing');
  if (hostnames.length === 0 || hostnames.includes('')) throw new UsageError('a hostname is missing');
  const env = flags.env ?? (variables['DEPLOY_ENV'] || 'default');
  const zone = flags.zone ?? (variables['ZONE'] || 'default');
  return { env, zone, appid, hostnames };
}

/** Works with a registry, and lets go of it. */
export async function withRegistry<T>(
  flags: ConstructorParameters<typeof AskedRegistry>[0],
  terminal: Terminal,
  work: (registry: AskedRegistry) => Promise<T>,
): Promise<T> {
  const registry = new AskedRegistry(flags, terminal);
  try {
    return await work(registry);
  } finally {
    registry.close();
  }
}
