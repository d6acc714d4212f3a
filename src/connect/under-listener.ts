import { ConnectError } from '@connectrpc/connect';
import { nameOperation } from '../core/call.js';
import { retriedBelow } from '../core/retried-below.js';
import type { ServedCall } from '../http/served-call.js';
import { markCall } from './call-of.js';
import type { Incoming, InnerHandler, Outgoing } from './inbound-call.js';
import { errorForClient, errorRetriedBelow } from './refusal-error.js';
import { pathOf } from './rpc-method.js';

/** Whoever governs the request hears of the fault, and whoever sent it gets its code. */
function answered(error: unknown, served: ServedCall): unknown {
  if (!(error instanceof ConnectError)) served.note(error);
  const told = errorForClient(error);
  return retriedBelow(served.call) ? errorRetriedBelow(told) : told;
}

async function* throughTo<Message>(messages: AsyncIterable<Message>, served: ServedCall) {
  try {
    yield* messages;
  } catch (error) {
    throw answered(error, served);
  }
}

/**
 * Runs a request that a listener of the app governs already, as one call of HTTP: adds the name of the operation, the
 * call for `callOf`, and the codes of refusals.
 */
export async function underListener(
  incoming: Incoming,
  inner: InnerHandler,
  served: ServedCall,
): Promise<Outgoing> {
  nameOperation(served.call, `${incoming.requestMethod} ${pathOf(incoming.method)}`);
  markCall(incoming.contextValues, served.call);
  try {
    const response = await inner(incoming);
    return response.stream ? { ...response, message: throughTo(response.message, served) } : response;
  } catch (error) {
    throw answered(error, served);
  }
}
