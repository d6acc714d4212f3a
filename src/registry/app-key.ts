import type { InstanceId } from './instance-id.js';

/** The app under which a registry lists itself. */
export const ownAppid = 'infra.discovery';

/**
 * Identity of an app. The length keeps "a" in env "b-c" apart from "a-b" in env "c", which a plain join does not.
 *
 * The registry itself is one app whatever the env: clients wait at start until they find it under their own.
 */
export function appKey(env: string, appid: string): string {
  return appid === ownAppid ? ownAppid : `${env.length}:${env}${appid}`;
}

/** Identity of an instance. No name holds a line break. */
export function instanceKey({ env, appid, zone, hostname }: InstanceId): string {
  return `${appKey(env, appid)}\n${zone}\n${hostname}`;
}
