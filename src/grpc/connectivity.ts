import { type Channel, connectivityState } from '@grpc/grpc-js';
import { systemClock, type Timer } from '../core/clock.js';

/** Which state of several a whole has: the best for calls first. As gRPC's round robin. */
const order = [
  connectivityState.READY,
  connectivityState.CONNECTING,
  connectivityState.IDLE,
  connectivityState.TRANSIENT_FAILURE,
] as const;

/** Somebody who waits for another state. */
interface Watcher {
  readonly from: connectivityState;
  readonly tell: (error?: Error) => void;
  timer: Timer | undefined;
}

/** How the channels of all endpoints together are connected, in the terms of one gRPC channel. */
export class Connectivity {
  private readonly channels = new Set<Channel>();
  private readonly watched = new WeakSet<Channel>();
  private readonly watchers = new Set<Watcher>();
  /** Whether somebody asked to be connected before there was whom to connect to. */
  private wanted = false;
  private closed = false;

  add(channel: Channel): void {
    this.channels.add(channel);
    if (this.wanted) channel.getConnectivityState(true);
    if (this.watchers.size > 0) this.follow(channel);
    this.changed();
  }

  remove(channel: Channel): void {
    this.channels.delete(channel);
    this.changed();
  }

  /** @param connect - whether those that are idle begin to connect, and those that come later too */
  state(connect: boolean): connectivityState {
    if (this.closed) return connectivityState.SHUTDOWN;
    this.wanted ||= connect;
    const states = new Set([...this.channels].map((channel) => channel.getConnectivityState(connect)));
    const known = order.find((state) => states.has(state));
    return known ?? (this.wanted ? connectivityState.CONNECTING : connectivityState.IDLE);
  }

  /** Tells once when the state is another; or, with an error, that it was not by the deadline. */
  watch(from: connectivityState, deadline: Date | number, tell: (error?: Error) => void): void {
    if (this.closed) throw new Error('Channel has been shut down');
    const watcher: Watcher = { from, tell, timer: undefined };
    const leftMs = Number(deadline) - systemClock.wallMs();
    this.watchers.add(watcher);
    if (leftMs < Number.POSITIVE_INFINITY) {
      watcher.timer = systemClock.after(leftMs, () =>
        this.end(watcher, new Error('Deadline passed without connectivity state change')),
      );
      // As grpc-js: who waits for a connection is not at the end of its program.
      watcher.timer.hold?.(true);
    }
    for (const channel of this.channels) this.follow(channel);
    process.nextTick(() => this.changed());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.changed();
  }

  /** A channel tells of one change at a time; while somebody waits it is asked again after each. */
  private follow(channel: Channel): void {
    if (this.watched.has(channel)) return;
    const state = channel.getConnectivityState(false);
    if (state === connectivityState.SHUTDOWN) return;
    this.watched.add(channel);
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      this.watched.delete(channel);
      if (!this.channels.has(channel)) return;
      if (this.watchers.size > 0) this.follow(channel);
      this.changed();
    });
  }

  private changed(): void {
    if (this.watchers.size === 0) return;
    const state = this.state(false);
    for (const watcher of this.watchers) if (watcher.from !== state) this.end(watcher);
  }

  private end(watcher: Watcher, error?: Error): void {
    if (!this.watchers.delete(watcher)) return;
    watcher.timer?.cancel();
    // Not in the middle of a change: whoever is told may throw, or ask at once.
    process.nextTick(watcher.tell, error);
  }
}
