import type { Registrar, Registration, Registry } from '../discovery/registrar.js';
import { addressOf, advertisedHost } from './advertise.js';
import { type AppOptions, appDefaults } from './app-options.js';
import { instanceFor } from './identity.js';
import { overlay } from './policy-checks.js';
import type { Bound } from './servable.js';

/** A registry that cannot tell is as good as none: there are other ways to an address. */
async function addressTowards(registrar: Pick<Registry, 'localAddress'> | undefined) {
  try {
    return await registrar?.localAddress?.();
  } catch {
    return undefined;
  }
}

/** Registers one bound server of an app. @returns the address that others see, and what takes it back */
export async function registerServer(
  registrar: (Registrar & Pick<Registry, 'localAddress'>) | undefined,
  options: AppOptions,
  bound: Bound,
): Promise<{ readonly url: string; readonly registration: Registration | undefined }> {
  const host = advertisedHost({
    option: options.advertiseHost,
    env: process.env['KEELSON_ADVERTISE_HOST'],
    bound: bound.host,
    toRegistry: await addressTowards(registrar),
  });
  const url = addressOf(bound.scheme, host, bound.port);
  const settings = overlay<Omit<AppOptions, 'service'>>(appDefaults, options);
  if (registrar === undefined || settings.register === false) return { url, registration: undefined };
  const { zone = '', env = '', region = '', version = '', weight = 100, metadata = {} } = settings;
  const identity = { service: options.service, zone, env, region, version, weight, metadata };
  return { url, registration: await registrar.register(instanceFor(identity, url, bound)) };
}
