import { HeadersCarrier } from './headers-carrier.js';

const grpcTimeout = 'grpc-timeout';
const connectTimeout = 'connect-timeout-ms';

/** What the name it is read by holds; whoever has more time than these 27 hours is as good as without a deadline. */
const grammar = /^\d{1,8}$/;

/** What a client sent, with the time that is left under one name, whichever protocol it came by. */
export class InboundHeaders extends HeadersCarrier {
  override get(name: string): string | undefined {
    const value = super.get(name);
    if (value !== undefined || name !== grpcTimeout) return value;
    const leftMs = super.get(connectTimeout);
    return leftMs !== undefined && grammar.test(leftMs) ? `${leftMs}m` : undefined;
  }
}
