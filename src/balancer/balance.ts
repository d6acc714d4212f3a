import type { Call } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import type { Endpoint } from '../core/endpoint.js';
import { refusal } from '../core/errors.js';
import { refusedBy } from '../core/guard.js';
import { type Handler, invoke } from '../core/handler.js';
import { checkNumber, wrongKind } from '../core/options.js';
import type { Protocol } from '../core/protocol.js';
import { direct, follow, type Receiver } from '../core/receiver.js';
import { Settlement, type Settling } from '../core/settlement.js';
import type { ServiceInstance } from '../discovery/instance.js';
import type { Resolution, Resolver, Watch } from '../discovery/resolver.js';
import type { Balancer, EndpointSnapshot, PickHint } from './balancer.js';
import { Crew, type EndpointStack, type Target } from './crew.js';
import { WaitingRoom } from './waiting-room.js';

/** How the set of endpoints changed. */
export interface EndpointChange {
  /** Ids that came. */
  readonly joined: readonly string[];
  /** Ids that went. */
  readonly left: readonly string[];
  /** How many there are now. */
  readonly size: number;
  /** Whether the resolver says that the list is its last good one. */
  readonly stale: boolean;
  /** Why it is stale. */
  readonly reason: string | undefined;
}

/** Options of {@link balance}. */
export interface BalanceOptions<Req, Res> {
  /** Logical name of the service that is called. */
  readonly service: string;
  /** Where its instances come from. Watched from the start until `close`. */
  readonly resolver: Resolver;
  /** Which endpoints a list of instances has, filters included. */
  readonly endpoints: (instances: readonly ServiceInstance[]) => readonly Endpoint[];
  /** Chooses among them. */
  readonly balancer: Balancer;
  /** Tells how a call ended. */
  readonly protocol: Protocol<Req, Res>;
  /** Called once for each endpoint that appears; closed when it has left and its last call ended. */
  readonly connect: (endpoint: Endpoint) => EndpointStack<Req, Res>;
  /** Tells the time. */
  readonly clock: Clock;
  /**
   * How long a call waits for the first endpoint, in milliseconds, 0 or more; its own deadline also ends the wait.
   * A larger value hides a slow start of the registry, 0 refuses at once.
   *
   * @defaultValue `5000`
   */
  readonly resolveTimeoutMs?: number | undefined;
  /**
   * Most calls that may wait at one time; a whole number, 0 or more. Those above are refused at once, so that a
   * registry that is away cannot fill the memory.
   *
   * @defaultValue `10000`
   */
  readonly maxWaiting?: number | undefined;
  /**
   * Told after each snapshot; what it throws is dropped.
   *
   * @defaultValue none
   */
  readonly onChange?: ((change: EndpointChange) => void) | undefined;
  /**
   * Told of code of the user's that threw where nobody waits for it: gates, meters, filters, a balancer. What it throws is
   * dropped.
   *
   * @defaultValue none
   */
  readonly onFault?: ((fault: unknown) => void) | undefined;
}

/** Defaults of {@link BalanceOptions}. */
export const balanceDefaults = { resolveTimeoutMs: 5000, maxWaiting: 10_000 } as const;

/** What a leaf knows of one endpoint. */
export interface EndpointState {
  /** Which endpoint. */
  readonly endpoint: Endpoint;
  /** Calls that are under way to it. */
  readonly inflight: number;
  /** How it stands with the balancer, if that tells. */
  readonly balancer: EndpointSnapshot | undefined;
  /** What its gates know, in their order; `undefined` for those that do not tell. */
  readonly gates: readonly unknown[];
}

/** The end of a client stack: picks an endpoint and sends there. */
export interface Leaf<Req, Res> {
  /** Sends one call. */
  readonly handler: Handler<Req, Res>;
  /** One entry per endpoint that is known now. */
  snapshot(now: number): readonly EndpointState[];
  /** Ends the watch, refuses those who wait, closes idle connections; calls in flight end by themselves. */
  close(): void;
}

/** After so many refusals by gates of different endpoints the service counts as refusing. */
const maxPicks = 4;

class BalancedLeaf<Req, Res> implements Leaf<Req, Res> {
  private readonly crew: Crew<Req, Res>;
  private readonly room: WaitingRoom;
  private readonly settling: Settling<Req, Res>;
  private readonly watch: Watch;
  readonly handler: Handler<Req, Res>;
  private closed = false;
  /** What the resolver said last of why there is none. */
  private reason: string | undefined = undefined;
  /** Why the balancer does not know the endpoints. */
  private fault: { readonly thrown: unknown } | undefined = undefined;

  constructor(private readonly options: BalanceOptions<Req, Res>) {
    const resolveTimeoutMs = options.resolveTimeoutMs ?? balanceDefaults.resolveTimeoutMs;
    const maxWaiting = options.maxWaiting ?? balanceDefaults.maxWaiting;
    checkNumber('balance.resolveTimeoutMs', resolveTimeoutMs, { min: 0 });
    checkNumber('balance.maxWaiting', maxWaiting, { min: 0, integer: true });
    this.settling = { protocol: options.protocol, clock: options.clock };
    this.crew = new Crew(options.connect, (fault) => this.tellFault(fault));
    this.room = new WaitingRoom(options.clock, resolveTimeoutMs, maxWaiting);
    this.handler = direct((request, call, receiver) => this.begin(request, call, receiver), options.clock);
    this.watch = options.resolver.watch(options.service, (resolution) => this.resolved(resolution));
  }

  snapshot(now: number): readonly EndpointState[] {
    const standing = new Map(this.options.balancer.snapshot?.(now).map((entry) => [entry.id, entry]));
    return this.crew.endpoints.flatMap(({ id }) => {
      const target = this.crew.target(id);
      return target ? [{ ...target.state(now), balancer: standing.get(id) }] : [];
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.watch.close();
    this.crew.update([]);
    this.room.dismiss(() => this.wasClosed());
  }

  private begin(request: Req, call: Call, receiver: Receiver<Res>): void {
    if (this.crew.size === 0) this.wait(request, call, receiver);
    else this.send(request, call, receiver, receiver.askedAt);
  }

  private send(request: Req, call: Call, receiver: Receiver<Res>, now: number): void {
    let refused: Error | undefined;
    try {
      refused = this.trySend(request, call, receiver, now);
    } catch (fault) {
      // A balancer of the user's that throws.
      receiver.failed(fault);
      return;
    }
    if (refused !== undefined) receiver.failed(refused);
  }

  /** @returns why it was not sent */
  private trySend(request: Req, call: Call, receiver: Receiver<Res>, now: number): Error | undefined {
    let hint = hintOf(call);
    for (let picks = 1; ; picks++) {
      const lease = this.options.balancer.pick(now, hint);
      if (lease === null) return this.noEndpoint('none may be picked', this.fault);
      const target = this.crew.target(lease.endpoint.id);
      if (target === undefined) {
        lease.release('unsent', now);
        return this.noEndpoint('the balancer picked one that had left', this.fault);
      }
      const permit = this.admit(target, call, now);
      if (permit !== null && !(permit instanceof Error)) {
        call.attempt.endpoint = lease.endpoint;
        call.attempt.reason = lease.reason;
        call.attempt.choices = this.crew.size;
        call.attempt.pickedAt = now;
        call.attempt.pick = lease;
        const hold = target.hold(lease, permit, now);
        const settlement = new Settlement(hold, call, receiver, this.settling);
        follow(invoke(target.handler, request, call), settlement);
        return undefined;
      }
      lease.release('unsent', now);
      if (permit instanceof Error) return permit;
      const avoid = new Set(hint?.avoid).add(lease.endpoint.id);
      if (picks >= maxPicks || avoid.size >= this.crew.size) return refusedBy(target.gate, now, call);
      hint = { key: call.key, avoid };
    }
  }

  /** A gate of the user's that throws is an error of the call, and must not keep the lease. */
  private admit(target: Target<Req, Res>, call: Call, now: number) {
    try {
      return target.gate.tryAcquire(now, call);
    } catch (fault) {
      return fault instanceof Error
        ? fault
        : new Error('a gate threw something that is no error', { cause: fault });
    }
  }

  private wait(request: Req, call: Call, receiver: Receiver<Res>): void {
    const admitted = this.closed
      ? Promise.reject(this.wasClosed())
      : this.room.wait(call, receiver.askedAt, () => this.noEndpoint(this.reason ?? 'none is known'));
    admitted.then(
      () => this.send(request, call, receiver, this.options.clock.now()),
      (error: unknown) => receiver.failed(error),
    );
  }

  private resolved(resolution: Resolution): void {
    if (this.closed) return;
    this.reason = resolution.reason;
    const endpoints = this.options.endpoints(resolution.instances);
    const change = this.crew.update(endpoints);
    this.tellBalancer();
    if (this.crew.size > 0) this.room.admit();
    this.tell({ ...change, size: this.crew.size, stale: resolution.stale, reason: resolution.reason });
  }

  /** What a meter or a filter of the user's throws is the cause of each call that then has no endpoint. */
  private tellBalancer(): void {
    this.fault = undefined;
    try {
      this.options.balancer.update(this.crew.endpoints, this.options.clock.now());
    } catch (thrown) {
      this.fault = { thrown };
      this.tellFault(thrown);
    }
  }

  private tellFault(fault: unknown): void {
    try {
      this.options.onFault?.(fault);
    } catch {
      // Nor must this one.
    }
  }

  private tell(change: EndpointChange): void {
    try {
      this.options.onChange?.(change);
    } catch {
      // A listener must not stop the resolver's push.
    }
  }

  private wasClosed(): Error {
    const { service } = this.options;
    return refusal('SHUTTING_DOWN', `${service}: the client was closed`, { service, side: 'client' });
  }

  private noEndpoint(why: string, fault?: { readonly thrown: unknown }): Error {
    const { service } = this.options;
    const said = fault?.thrown instanceof Error ? `: ${fault.thrown.message}` : '';
    const cause = fault?.thrown;
    return refusal('NO_ENDPOINT', `${service}: no endpoint, ${why}${said}`, {
      service,
      side: 'client',
      cause,
    });
  }
}

function hintOf(call: Call): PickHint | undefined {
  const { key } = call;
  const { avoid } = call.attempt;
  return key === undefined && avoid === undefined ? undefined : { key, avoid };
}

function checkParts(options: unknown): void {
  if (typeof options !== 'object' || options === null)
    throw wrongKind('balance: options', 'an object', options);
  const { resolver, balancer, protocol, clock, connect, endpoints } = options as Partial<
    BalanceOptions<unknown, unknown>
  >;
  const parts: readonly [field: string, what: string, given: unknown, method: unknown][] = [
    ['resolver', 'a resolver, such as staticEndpoints() makes', resolver, resolver?.watch],
    ['balancer', 'a balancer, such as leastLoad() makes', balancer, balancer?.pick],
    ['protocol', 'a protocol', protocol, protocol?.classify],
    ['clock', 'a clock', clock, clock?.now],
    ['connect', 'a function', connect, connect],
    ['endpoints', 'a function', endpoints, endpoints],
  ];
  for (const [field, what, given, method] of parts)
    if (typeof method !== 'function') throw wrongKind(`balance.${field}`, what, given);
}

/**
 * Makes the leaf of a client stack: picks an endpoint, asks its gates, sends, and tells all of them how it ended.
 *
 * The loop is synchronous. When an endpoint's gates refuse, the lease is released as `unsent` and another endpoint
 * is picked, at most three times; a re-pick is not a retry and costs no budget.
 *
 * A call that timed out after less time than the endpoint usually takes says nothing of it and counts as `ignored`.
 *
 * @throws TypeError or RangeError for options that are missing or out of range. Calls are rejected with GovernanceError `NO_ENDPOINT`, or with the
 * code of the gate that refused
 */
export function balance<Req, Res>(options: BalanceOptions<Req, Res>): Leaf<Req, Res> {
  checkParts(options);
  const leaf = new BalancedLeaf(options);
  return { handler: leaf.handler, snapshot: (now) => leaf.snapshot(now), close: () => leaf.close() };
}
