import type { ContextValues } from '@connectrpc/connect';
import { type Call, createCall } from '../core/call.js';
import type { Cancellation } from '../core/cancel.js';
import type { Clock } from '../core/clock.js';
import { currentCall } from '../core/current.js';
import { checkNumber } from '../core/options.js';
import { inheritedDeadline } from '../core/over.js';
import { hedgePreference, timeoutPreference } from '../core/preferences.js';
import { checkCallOptions } from '../http/call-options.js';
import { priorityHeader } from '../http/priority.js';
import { type OutgoingRequest, StreamOutgoing } from './connect-request.js';
import { governance, type RpcOptions } from './governance-key.js';
import { HeadersCarrier } from './headers-carrier.js';
import { pathOf, type RpcMethod } from './rpc-method.js';

/** What all calls of one transport have in common. */
export interface CallerParts {
  readonly service: string;
  /** Of the stack: deadlines of calls are on its scale. */
  readonly clock: Clock;
  readonly idempotent: (method: RpcMethod) => boolean;
  readonly streamTimeoutMs: number;
}

/** What a caller gives besides the message. */
export interface Given {
  readonly header: ConstructorParameters<typeof Headers>[0];
  readonly cancel: Cancellation;
}

/** Those of connect itself go where it has them: `timeoutMs` beside the context values. */
const rpcOptions = { priority: 'number', key: 'string', idempotent: 'boolean', hedge: 'boolean' } as const;

const noLimit = Number.POSITIVE_INFINITY;

function optionsOf(values: ContextValues | undefined): RpcOptions {
  const options = values?.get(governance);
  return options === undefined ? {} : checkCallOptions('governance', options, rpcOptions);
}

/** Makes the calls of one transport. */
export class Caller {
  constructor(private readonly parts: CallerParts) {}

  /** When a stream has to be at its end, by what its caller says or inherits. */
  deadline(timeoutMs: number | undefined): number {
    const inherited = inheritedDeadline(currentCall());
    return timeoutMs === undefined
      ? inherited
      : Math.min(inherited, this.parts.clock.now() + limit(timeoutMs));
  }

  call(request: OutgoingRequest, { header, cancel }: Given): Call {
    const { service, idempotent } = this.parts;
    const { method } = request;
    const options = optionsOf(request.contextValues);
    const inbound = currentCall();
    const priority = options.priority ?? inbound?.priority ?? 0;
    const headers = new HeadersCarrier(new Headers(header));
    const call = createCall({
      side: 'client',
      service,
      operation: pathOf(method),
      deadline: request instanceof StreamOutgoing ? request.deadline : inheritedDeadline(inbound),
      cancel,
      idempotent: options.idempotent ?? idempotent(method),
      headers,
      priority,
      key: options.key,
    });
    this.prefer(call, request);
    if (options.hedge !== undefined) call.values.set(hedgePreference, options.hedge);
    // The caller's own word, as option or as header, goes before what was inherited.
    if (options.priority !== undefined || (priority !== 0 && headers.get(priorityHeader) === undefined))
      headers.set(priorityHeader, String(priority));
    return call;
  }

  private prefer(call: Call, request: OutgoingRequest): void {
    if (request instanceof StreamOutgoing) call.values.set(timeoutPreference, this.parts.streamTimeoutMs);
    else if (request.timeoutMs !== undefined) call.values.set(timeoutPreference, limit(request.timeoutMs));
  }
}

/** As in Connect, 0 and less are no limit. @throws RangeError for what is no number */
function limit(timeoutMs: number): number {
  return timeoutMs <= 0 ? noLimit : checkNumber('timeoutMs', timeoutMs, { above: 0, infinite: true });
}
