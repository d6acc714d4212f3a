import { createSecureContext } from 'node:tls';
import { reasonOf } from './discovery-event.js';

/** What a TLS connection to a registry needs that the platform does not know. */
export interface TlsOptions {
  /** Certificates of authorities to trust instead of the platform's; PEM. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** Certificate of this client, with its chain; PEM. */
  readonly cert?: string | Uint8Array | undefined;
  /** Private key of that certificate; PEM. */
  readonly key?: string | Uint8Array | undefined;
  /** Name that the server's certificate has to bear, when it is not the host of the URL. */
  readonly serverName?: string | undefined;
}

const fields: readonly string[] = ['ca', 'cert', 'key', 'serverName'];

/** A path, as other programs take it, would be taken for a text without certificates, and each connection would fail. */
function checkPem(option: string, given: TlsOptions['ca']): void {
  const parts = typeof given === 'string' || given instanceof Uint8Array ? [given] : (given ?? []);
  for (const part of parts) {
    const text = typeof part === 'string' ? part : Buffer.from(part).toString('latin1');
    if (!text.includes('-----BEGIN '))
      throw new TypeError(`${option} must be PEM: what is in the file, not its path`);
  }
}

/**
 * The same in the platform's words.
 *
 * @param owner - name of the option, for messages: `etcd.tls`
 * @throws TypeError for an unknown option, half of a certificate and key, or what is no PEM
 */
export function tlsSettings(owner: string, options: TlsOptions | undefined): object {
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null) throw new TypeError(`${owner} must be an object`);
  for (const field of Object.keys(options)) {
    if (!fields.includes(field))
      throw new TypeError(`${owner}.${field} is not an option; there are ${fields.join(', ')}`);
  }
  const { ca, cert, key, serverName } = options;
  if ((cert === undefined) !== (key === undefined))
    throw new TypeError(`${owner} needs cert and key, or neither`);
  checkPem(`${owner}.ca`, ca);
  checkPem(`${owner}.cert`, cert);
  checkPem(`${owner}.key`, key);
  // The platform takes every form of PEM named above; its types know fewer.
  const settings = {
    ...(ca === undefined ? {} : { ca: ca as string }),
    ...(cert === undefined ? {} : { cert: cert as string, key: key as string }),
  };
  try {
    createSecureContext(settings);
  } catch (error) {
    throw new TypeError(`${owner} cannot be used: ${reasonOf(error)}`, { cause: error });
  }
  return { ...settings, ...(serverName === undefined ? {} : { servername: serverName }) };
}
