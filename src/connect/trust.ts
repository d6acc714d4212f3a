import { isPrivateAddress } from '../http/inbound.js';
import type { ConnectExchange } from './connect-exchange.js';

/** Whose word counts: nobody's, everybody's, peers on loopback and private networks, or as a function says. */
export type ConnectTrust = boolean | 'private' | ((exchange: ConnectExchange) => boolean);

type Question = (exchange: ConnectExchange) => boolean;

function asked(trust: Question): Question {
  return (exchange) => {
    try {
      return trust(exchange) === true;
    } catch {
      return false;
    }
  };
}

/** Makes the question of {@link ConnectTrust} once, so that a call only asks it. A function that throws trusts nobody. */
export function connectTruster(trust: ConnectTrust): Question {
  if (typeof trust === 'function') return asked(trust);
  if (trust === 'private') return ({ peer }) => isPrivateAddress(peer?.address);
  if (typeof trust === 'boolean') return () => trust;
  throw new TypeError(
    `serverInterceptor.trust must be a boolean, "private" or a function, got ${String(trust)}`,
  );
}
