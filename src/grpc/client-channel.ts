import { type ChannelInterface, type connectivityState, propagate, status } from '@grpc/grpc-js';
import type { Connectivity } from './connectivity.js';
import { GovernedCall } from './governed-call.js';
import { OutgoingRequest } from './grpc-request.js';
import type { Line } from './line.js';
import { Outbox } from './outbox.js';
import type { ParentCall, WireCall } from './wire-call.js';

type ChannelzRef = ReturnType<ChannelInterface['getChannelzRef']>;

const timeOf = (deadline: Date | number): number =>
  typeof deadline === 'number' ? deadline : deadline.getTime();

/** A service as one channel of grpc-js, whose calls go through a client stack. */
export class ClientChannel implements ChannelInterface {
  private closed = false;

  constructor(
    private readonly line: Line,
    private readonly connectivity: Connectivity,
    private readonly stop: () => void,
  ) {}

  createCall(
    path: string,
    deadline: Date | number,
    host?: string | null,
    parent?: ParentCall | null,
    flags?: number | null,
  ): WireCall {
    if (this.closed) throw new Error('Channel has been shut down');
    const { methods, replayBufferBytes } = this.line.parts;
    const passes = parent ? (flags ?? propagate.DEFAULTS) : 0;
    const inherited =
      parent && passes & propagate.DEADLINE ? timeOf(parent.getDeadline()) : Number.POSITIVE_INFINITY;
    const until = this.line.deadline(Math.min(timeOf(deadline), inherited));
    const request = new OutgoingRequest(path, host, until, new Outbox(replayBufferBytes));
    const call = new GovernedCall(this.line, request, methods.get(path));
    if (parent && passes & propagate.CANCELLATION) endWith(parent, call);
    return call;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.stop();
    this.connectivity.close();
  }

  getTarget(): string {
    return this.line.parts.target;
  }

  getConnectivityState(tryToConnect: boolean): connectivityState {
    return this.connectivity.state(tryToConnect);
  }

  watchConnectivityState(
    from: connectivityState,
    deadline: Date | number,
    callback: (error?: Error) => void,
  ): void {
    this.connectivity.watch(from, deadline, callback);
  }

  /** What grpc-js gives for a channel that channelz does not know; it knows those of the endpoints. */
  getChannelzRef(): ChannelzRef {
    return { kind: 'channel', id: -1, name: this.line.parts.target } as ChannelzRef;
  }
}

/** As grpc-js: a call that is made for an inbound one (`CallOptions.parent`) is cancelled with it. */
function endWith(parent: ParentCall, call: GovernedCall): void {
  const cancel = (): void => call.cancelWithStatus(status.CANCELLED, 'Cancelled by parent call');
  if (parent.cancelled) cancel();
  else parent.on('cancelled', cancel);
  call.whenOver(() => void parent.off('cancelled', cancel));
}
