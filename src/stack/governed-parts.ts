import type { EndpointState } from '../balancer/balance.js';
import type { Clock } from '../core/clock.js';
import type { Gate } from '../core/gate.js';
import type { DispatchQueue } from '../limiter/dispatch-queue.js';
import type {
  GovernanceState,
  ShownClient,
  ShownEndpoint,
  ShownLimiter,
} from '../telemetry/governance-gauges.js';
import type { ClientStack } from './client-stack.js';

type Client = Pick<ClientStack<never, unknown>, 'snapshot' | 'tries'>;
type Side = ShownLimiter['side'];
type Queue = Pick<DispatchQueue, 'snapshot'>;

interface Limit {
  readonly gate: Gate;
  readonly side: Side;
  readonly service: string;
  readonly name: string;
}

/** What gates of all kinds may tell of themselves. */
interface Told {
  readonly limit?: unknown;
  readonly inflight?: unknown;
  readonly state?: unknown;
  readonly refusalRatio?: unknown;
}

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

function breakerOf(gates: readonly unknown[]): ShownEndpoint['breaker'] {
  for (const gate of gates) {
    const { state, refusalRatio } = (gate ?? {}) as Told;
    if (typeof state === 'string' && typeof refusalRatio === 'number') return { state, refusalRatio };
  }
  return undefined;
}

function shownEndpoint({ endpoint, inflight, balancer, gates }: EndpointState): ShownEndpoint {
  return {
    id: endpoint.id,
    inflight,
    load: balancer?.load,
    ejected: balancer?.ejectedUntil !== undefined,
    breaker: breakerOf(gates),
  };
}

/** The clients, limits and queues of an app, for gauges: asked when a reader collects, and never before. */
export class GovernedParts {
  private readonly clients = new Map<Client, string>();
  private readonly limits: Limit[] = [];
  private readonly queues: { readonly queue: Queue; readonly name: string }[] = [];

  constructor(
    private readonly service: string,
    private readonly clock: Clock,
  ) {}

  /** @returns what takes it away */
  addClient(service: string, client: Client): () => void {
    this.clients.set(client, service);
    return () => void this.clients.delete(client);
  }

  /** Limits of calls of one service; one that is known already stays as it is. */
  addLimits(side: Side, service: string, gates: readonly Gate[] = []): void {
    gates.forEach((gate, at) => {
      if (this.limits.some((known) => known.gate === gate)) return;
      this.limits.push({ gate, side, service, name: this.freeName(`limits[${at}]`, side, service) });
    });
  }

  /** A queue of the servers. */
  addQueue(queue: Queue): void {
    const { length } = this.queues;
    this.queues.push({ queue, name: length === 0 ? 'queue' : `queue#${length + 1}` });
  }

  /** How everything stands. */
  readonly read = (): GovernanceState => ({
    clients: Array.from(this.clients, ([client, service]) => shownClient(service, client)),
    limiters: [...this.limits.flatMap((limit) => this.shownLimit(limit) ?? []), ...this.shownQueues()],
  });

  /** Two servers with limits of their own would else be one series. */
  private freeName(name: string, side: Side, service: string): string {
    const alike = this.limits.filter(
      (known) => known.side === side && known.service === service && known.name.split('#')[0] === name,
    );
    return alike.length === 0 ? name : `${name}#${alike.length + 1}`;
  }

  private shownLimit({ gate, side, service, name }: Limit): ShownLimiter | undefined {
    const told = this.toldBy(gate as { snapshot?(now: number): unknown });
    const limit = numberOf(told.limit);
    const inflight = numberOf(told.inflight);
    if (limit === undefined && inflight === undefined) return undefined;
    return { service, side, name, limit, inflight, queued: undefined };
  }

  /** A gate of the user's may throw: that one is left out. */
  private toldBy(gate: { snapshot?(now: number): unknown }): Told {
    try {
      return (gate.snapshot?.(this.clock.now()) ?? {}) as Told;
    } catch {
      return {};
    }
  }

  private shownQueues(): ShownLimiter[] {
    const now = this.clock.now();
    const { service } = this;
    return this.queues.map(({ queue, name }) => {
      const { running, runningLimit, queued } = queue.snapshot(now);
      return { service, side: 'server', name, limit: runningLimit, inflight: running, queued };
    });
  }
}

function shownClient(service: string, client: Client): ShownClient {
  return { service, endpoints: client.snapshot().map(shownEndpoint), tries: client.tries() };
}
