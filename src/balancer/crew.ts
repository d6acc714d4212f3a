import type { Endpoint } from '../core/endpoint.js';
import { allOf, checkGate, type Gate, type Permit } from '../core/gate.js';
import type { Handler } from '../core/handler.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { Connection } from '../core/wire.js';
import { FrugalMedian } from '../stats/frugal-median.js';

/** What `connect` returns: the gates of one endpoint and the way to it. */
export interface EndpointStack<Req, Res> extends Connection<Req, Res> {
  /** Asked after the pick; if one refuses, another endpoint is picked. */
  readonly gates: readonly Gate[];
}

/** One call in flight to one endpoint: the lease, the permits of its gates, and the endpoint's own count. */
class Hold<Req, Res> implements Permit {
  private observed = false;
  private released = false;

  constructor(
    private readonly target: Target<Req, Res>,
    private readonly lease: Permit,
    private readonly permit: Permit,
    private readonly startedAt: number,
  ) {}

  observe(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.observed) return;
    this.observed = true;
    const elapsedMs = now - this.startedAt;
    const judged = this.target.judge(outcome, elapsedMs, feedback);
    this.permit.observe(judged, now, feedback);
    this.lease.observe(judged, now, feedback);
  }

  release(outcome: Outcome, now: number, feedback?: Feedback): void {
    if (this.released) return;
    this.released = true;
    const elapsedMs = now - this.startedAt;
    const judged = this.observed ? outcome : this.target.judge(outcome, elapsedMs, feedback);
    try {
      this.permit.release(judged, now, feedback);
    } finally {
      // A gate of the user's that throws must not cost the endpoint a place for ever.
      this.lease.release(judged, now, feedback);
      this.target.ended();
    }
  }
}

/** What is kept for one endpoint while it is known, and after that until its last call ended. */
export class Target<Req, Res> {
  readonly gate: Gate;
  readonly handler: Handler<Req, Res>;
  private readonly median = new FrugalMedian();
  private inflight = 0;
  private left = false;

  constructor(
    readonly endpoint: Endpoint,
    private readonly stack: EndpointStack<Req, Res>,
  ) {
    this.gate = allOf(stack.gates);
    this.handler = stack.handler;
  }

  hold(lease: Permit, permit: Permit, now: number): Permit {
    this.inflight++;
    return new Hold(this, lease, permit, now);
  }

  /** A timeout is the endpoint's fault only if it had as long as it takes every other time. */
  judge(outcome: Outcome, elapsedMs: number, feedback: Feedback | undefined): Outcome {
    if (outcome === 'success') this.median.add(elapsedMs);
    return feedback?.timedOut && outcome === 'failure' && elapsedMs < this.median.value ? 'ignored' : outcome;
  }

  state(now: number): { endpoint: Endpoint; inflight: number; gates: readonly unknown[] } {
    const gates = this.stack.gates.map((gate) =>
      (gate as { snapshot?(now: number): unknown }).snapshot?.(now),
    );
    return { endpoint: this.endpoint, inflight: this.inflight, gates };
  }

  ended(): void {
    this.inflight--;
    if (this.left && this.inflight === 0) this.stack.close();
  }

  leave(): void {
    this.left = true;
    if (this.inflight === 0) this.stack.close();
  }
}

/** What is no gate would fail each call without saying which it is. */
function withGates<Req, Res>(stack: EndpointStack<Req, Res>): EndpointStack<Req, Res> {
  try {
    stack.gates.forEach((gate, at) => {
      checkGate(`gates[${at}]`, gate);
    });
    return stack;
  } catch (fault) {
    stack.close();
    throw fault;
  }
}

/** The endpoints of one service with their stacks. Those that stay keep theirs; those that leave finish their calls. */
export class Crew<Req, Res> {
  private targets = new Map<string, Target<Req, Res>>();
  /** In the order of the last snapshot. */
  endpoints: readonly Endpoint[] = [];

  /** @param onFault - told why one cannot be connected */
  constructor(
    private readonly connect: (endpoint: Endpoint) => EndpointStack<Req, Res>,
    private readonly onFault?: (fault: unknown) => void,
  ) {}

  get size(): number {
    return this.targets.size;
  }

  target(id: string): Target<Req, Res> | undefined {
    return this.targets.get(id);
  }

  update(endpoints: readonly Endpoint[]): { joined: string[]; left: string[] } {
    const before = this.targets;
    const after = new Map<string, Target<Req, Res>>();
    const joined: string[] = [];
    for (const endpoint of endpoints) {
      if (after.has(endpoint.id)) continue;
      const known = before.get(endpoint.id);
      after.set(endpoint.id, known ?? new Target(endpoint, this.open(endpoint)));
      if (known === undefined) joined.push(endpoint.id);
    }
    this.targets = after;
    this.endpoints = endpoints;
    const left = [...before.keys()].filter((id) => !after.has(id));
    for (const id of left) before.get(id)?.leave();
    return { joined, left };
  }

  /** An endpoint that cannot be connected fails its own calls, so that it is ejected like any other that fails. */
  private open(endpoint: Endpoint): EndpointStack<Req, Res> {
    try {
      return withGates(this.connect(endpoint));
    } catch (fault) {
      this.onFault?.(fault);
      return { gates: [], handler: () => Promise.reject(fault), close: () => undefined };
    }
  }
}
