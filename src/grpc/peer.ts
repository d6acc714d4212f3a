import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { isPrivateAddress } from '../http/inbound.js';

/** Whose word counts: nobody's, everybody's, peers on loopback and private networks, or as a function says. */
export type GrpcTrust = boolean | 'private' | ((call: ServerInterceptingCallInterface) => boolean);

/** The part before the last colon: grpc-js puts no brackets around IPv6 addresses. */
export function addressOf(peer: string): string | undefined {
  const colon = peer.lastIndexOf(':');
  return colon < 0 ? undefined : peer.slice(0, colon);
}

/** The part after the last colon. */
export function portOf(peer: string): number | undefined {
  const port = /:(\d{1,5})$/.exec(peer)?.[1];
  return port === undefined ? undefined : Number(port);
}

function asked(trust: (call: ServerInterceptingCallInterface) => boolean) {
  return (call: ServerInterceptingCallInterface): boolean => {
    try {
      return trust(call) === true;
    } catch {
      return false;
    }
  };
}

/** Makes the question of {@link GrpcTrust} once, so that a call only asks it. A function that throws trusts nobody. */
export function grpcTruster(trust: GrpcTrust): (call: ServerInterceptingCallInterface) => boolean {
  if (typeof trust === 'function') return asked(trust);
  if (trust === 'private') return (call) => isPrivateAddress(addressOf(call.getPeer()));
  if (typeof trust === 'boolean') return () => trust;
  throw new TypeError(`governServer.trust must be a boolean, "private" or a function, got ${String(trust)}`);
}
