import type { Metadata } from '@grpc/grpc-js';
import { type Call, createCall } from '../core/call.js';
import type { Cancellation } from '../core/cancel.js';
import { type Clock, systemClock } from '../core/clock.js';
import { currentCall } from '../core/current.js';
import { type Handler, invoke } from '../core/handler.js';
import { inheritedDeadline } from '../core/over.js';
import { timeoutPreference } from '../core/preferences.js';
import { priorityHeader } from '../http/priority.js';
import type { GrpcAnswer } from './grpc-answer.js';
import type { GrpcRequest, OutgoingRequest } from './grpc-request.js';
import { MetadataCarrier } from './metadata-carrier.js';
import type { Method } from './method-table.js';

/** What all calls of one channel have in common. */
export interface LineParts {
  readonly service: string;
  readonly target: string;
  /** Of the stack: deadlines of calls are on its scale. */
  readonly clock: Clock;
  /** The client stack. */
  readonly handler: Handler<GrpcRequest, GrpcAnswer>;
  readonly methods: ReadonlyMap<string, Method>;
  /** Which methods may be sent twice though their definition does not say so. */
  readonly mayRepeat: (path: string) => boolean;
  readonly streamTimeoutMs: number;
  readonly replayBufferBytes: number;
}

/** The way of calls into one client stack. */
export class Line {
  constructor(readonly parts: LineParts) {}

  /** Sends a request through the stack, as part of the inbound call that the running code serves. */
  send(request: OutgoingRequest, metadata: Metadata, cancel: Cancellation): Promise<GrpcAnswer> {
    try {
      return invoke(this.parts.handler, request, this.call(request, metadata, cancel));
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  /** The deadline of a whole call: its own or what it inherits; milliseconds since 1970, or `Infinity`. */
  deadline(own: number): number {
    const leftMs = inheritedDeadline(currentCall()) - this.parts.clock.now();
    return Math.min(own, systemClock.wallMs() + leftMs);
  }

  private call(request: OutgoingRequest, given: Metadata, cancel: Cancellation): Call {
    const { service, mayRepeat, methods, streamTimeoutMs } = this.parts;
    const { path } = request;
    const inbound = currentCall();
    const priority = inbound?.priority ?? 0;
    // A copy: the caller may use its metadata again.
    const headers = new MetadataCarrier(given.clone());
    const call = createCall({
      side: 'client',
      service,
      operation: path,
      deadline: Math.min(inheritedDeadline(inbound), this.onClock(request.deadline)),
      cancel,
      idempotent:
        methods.get(path)?.idempotent === true ||
        given.getOptions().idempotentRequest === true ||
        mayRepeat(path),
      headers,
      priority,
    });
    if (priority !== 0 && headers.get(priorityHeader) === undefined)
      headers.set(priorityHeader, String(priority));
    if (!request.single) call.values.set(timeoutPreference, streamTimeoutMs);
    return call;
  }

  private onClock(wallMs: number): number {
    return this.parts.clock.now() + wallMs - systemClock.wallMs();
  }
}
