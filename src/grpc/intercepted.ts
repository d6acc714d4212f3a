import { ServerInterceptingCall } from '@grpc/grpc-js';
import type { InboundCall, InnerListener } from './inbound-call.js';

/** What grpc-js and the interceptors after ours see of a governed call. */
export class Intercepted extends ServerInterceptingCall {
  // Nothing of ours on the instance that another version of grpc-js could have a field of the same name for.
  readonly #inbound: InboundCall;
  constructor(inbound: InboundCall) {
    super(inbound.wire);
    this.#inbound = inbound;
  }
  override start(listener: InnerListener): void {
    this.#inbound.start(listener);
  }
  override sendMetadata(...sent: Parameters<ServerInterceptingCall['sendMetadata']>): void {
    this.#inbound.sendMetadata(...sent);
  }
  override sendMessage(...sent: Parameters<ServerInterceptingCall['sendMessage']>): void {
    this.#inbound.sendMessage(...sent);
  }
  override sendStatus(...sent: Parameters<ServerInterceptingCall['sendStatus']>): void {
    this.#inbound.sendStatus(...sent);
  }
}
