import type { Registration, Registry } from '../discovery/registrar.js';
import { addressOf, advertisedHost } from './advertise.js';
import type { AppOptions } from './app-options.js';
import { type Identity, instanceFor } from './identity.js';
import type { Bound } from './serving.js';

/** Registers one bound server of an app. @returns the address that others see, and what takes it back */
export async function registerServer(
  registry: Registry | undefined,
  options: AppOptions,
  bound: Bound,
): Promise<{ readonly url: string; readonly registration: Registration | undefined }> {
  const host = advertisedHost({
    option: options.advertiseHost,
    env: process.env['KEELSON_ADVERTISE_HOST'],
    bound: bound.host,
    toRegistry: await registry?.localAddress?.(),
  });
  const url = addressOf(bound.scheme, host, bound.port);
  if (registry === undefined || options.register === false) return { url, registration: undefined };
  const { service, zone = '', env = '', region = '', version = '', weight = 100, metadata = {} } = options;
  const identity: Identity = { service, zone, env, region, version, weight, metadata };
  return { url, registration: await registry.register(instanceFor(identity, url, bound.port)) };
}
