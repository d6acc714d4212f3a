import { type Call, createCall } from '../core/call.js';
import type { Cancellation } from '../core/cancel.js';
import { currentCall } from '../core/current.js';
import { inheritedDeadline } from '../core/over.js';
import { hedgePreference, tiedPreference, timeoutPreference } from '../core/preferences.js';
import type { CallOptions } from './call-options.js';
import { idempotentMethods } from './method.js';
import { type HeaderInput, headerOf, OutgoingHeaders } from './outgoing-headers.js';
import { priorityHeader } from './priority.js';
import type { RouteTable } from './routes.js';

/** What the call is made of, whatever client sends it. */
export interface Outgoing {
  /** As it goes out: `GET`. */
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** As the caller wrote them; never changed. */
  readonly headers: HeaderInput;
}

/** Makes the calls of one client. */
export class Caller {
  constructor(
    private readonly service: string,
    private readonly routes: RouteTable,
  ) {}

  call(outgoing: Outgoing, options: CallOptions | undefined, cancel: Cancellation): Call {
    const { method, path } = outgoing;
    const inbound = currentCall();
    const headers = OutgoingHeaders.over(outgoing.headers);
    const priority = options?.priority ?? inbound?.priority ?? 0;
    const call = createCall({
      side: 'client',
      service: this.service,
      operation: options?.operation ?? this.routes(method, path) ?? method,
      deadline: inheritedDeadline(inbound),
      cancel,
      idempotent: options?.idempotent ?? isIdempotent(outgoing),
      headers,
      priority,
      key: options?.key,
    });
    if (options !== undefined) prefer(call, options);
    // The caller's own word, as option or as header, goes before what was inherited.
    if (options?.priority !== undefined || (priority !== 0 && headers.get(priorityHeader) === undefined))
      headers.set(priorityHeader, String(priority));
    return call;
  }
}

function isIdempotent({ method, headers }: Outgoing): boolean {
  return idempotentMethods.has(method) || headerOf(headers, 'idempotency-key') !== undefined;
}

function prefer(call: Call, { timeoutMs, hedge, tied }: CallOptions): void {
  if (timeoutMs !== undefined) call.values.set(timeoutPreference, timeoutMs);
  if (hedge !== undefined) call.values.set(hedgePreference, hedge);
  if (tied !== undefined) call.values.set(tiedPreference, tied);
}
