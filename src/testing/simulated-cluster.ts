import type { Balancer, Lease } from '../balancer/balancer.js';
import type { Endpoint } from '../core/endpoint.js';
import { allOf, freePermit, type Gate, type Permit } from '../core/gate.js';
import { checkNumber } from '../core/options.js';
import type { Random } from '../core/random.js';
import { EventQueue } from './event-queue.js';
import { type ServerReport, SimulatedServer, type SimulatedServerOptions } from './simulated-server.js';

/** Something that happens during a run. */
export interface ClusterEvent {
  /** When, in milliseconds since the run began. */
  readonly atMs: number;
  /** Changes servers by id; one that is new joins, `undefined` makes one leave. What is in its queue is still served. */
  readonly change: Readonly<Record<string, SimulatedServerOptions | undefined>>;
}

/** Options of {@link simulatedCluster}. */
export interface SimulatedClusterOptions {
  /** The servers by id. */
  readonly servers: Readonly<Record<string, SimulatedServerOptions>>;
  /** Chooses among them; a new one for each cluster, since it keeps what it learned. */
  readonly balancer: Balancer;
  /** Draws arrivals, service times and failures: `seededRandom(1)`. */
  readonly random: Random;
  /**
   * Gates of one server, called once for each that joins.
   *
   * @defaultValue none
   */
  readonly gates?: ((endpoint: Endpoint) => readonly Gate[]) | undefined;
  /**
   * How long a caller waits, in milliseconds; above 0. The server works on all the same, as real ones do.
   *
   * @defaultValue `Infinity`
   */
  readonly timeoutMs?: number | undefined;
}

/** What traffic a cluster gets. */
export interface TrafficOptions {
  /** Calls per second, at times that do not know of each other (Poisson); above 0. */
  readonly perSecond: number;
  /** For how long calls arrive, in milliseconds; above 0. */
  readonly durationMs: number;
  /**
   * What happens meanwhile.
   *
   * @defaultValue `[]`
   */
  readonly events?: readonly ClusterEvent[] | undefined;
}

/** How a run went. */
export interface ClusterReport {
  /** Calls that were made. */
  readonly calls: number;
  /** Calls that failed, timeouts included. */
  readonly failures: number;
  /** Calls for which no server could be picked, or whose gate refused; they are not picked again. */
  readonly refused: number;
  /** What the servers saw since the cluster was made, by id, those that left included. */
  readonly servers: Readonly<Record<string, ServerReport>>;
  /** Latency of the successes that this share did not exceed, in milliseconds; 0 to 1. `NaN` without any. */
  latencyMs(quantile: number): number;
}

/** Servers in virtual time. */
export interface SimulatedCluster {
  /** Sends traffic and waits for its end; a second run goes on where the first ended. */
  run(traffic: TrafficOptions): ClusterReport;
}

class Tally {
  calls = 0;
  failures = 0;
  refused = 0;
  readonly latencies: number[] = [];
}

class Cluster implements SimulatedCluster {
  private readonly queue = new EventQueue();
  private readonly servers = new Map<string, SimulatedServer>();
  private readonly gates = new Map<string, Gate>();
  private members: readonly Endpoint[] = [];
  private now = 0;

  constructor(private readonly options: SimulatedClusterOptions) {
    this.change(options.servers);
  }

  run({ perSecond, durationMs, events = [] }: TrafficOptions): ClusterReport {
    checkNumber('run.perSecond', perSecond, { above: 0 });
    checkNumber('run.durationMs', durationMs, { above: 0 });
    const { queue, options } = this;
    const tally = new Tally();
    const start = this.now;
    for (const { atMs, change } of events) queue.add(start + atMs, () => this.change(change));
    const arrive = (now: number): void => {
      this.now = now;
      this.call(tally, now);
      const next = now - (Math.log(1 - options.random()) * 1000) / perSecond;
      if (next < start + durationMs) queue.add(next, arrive);
    };
    queue.add(start, arrive);
    queue.drain();
    this.now = Math.max(this.now, start + durationMs);
    return this.report(tally);
  }

  private call(tally: Tally, now: number): void {
    tally.calls++;
    const lease = this.options.balancer.pick(now);
    const permit = lease && this.admit(lease, now);
    const server = lease && this.servers.get(lease.endpoint.id);
    if (!lease || !permit || !server) {
      lease?.release('unsent', now);
      permit?.release('unsent', now);
      tally.refused++;
      return;
    }
    const end = (failed: boolean, at: number, timedOut: boolean): void => {
      if (over) return;
      over = true;
      this.now = Math.max(this.now, at);
      if (failed) tally.failures++;
      else tally.latencies.push(at - now);
      const outcome = failed ? 'failure' : 'success';
      for (const held of [permit, lease]) held.release(outcome, at, timedOut ? { timedOut } : undefined);
    };
    let over = false;
    server.serve(now, (failed, at) => end(failed, at, false));
    const { timeoutMs = Number.POSITIVE_INFINITY } = this.options;
    if (timeoutMs < Number.POSITIVE_INFINITY) this.queue.add(now + timeoutMs, (at) => end(true, at, true));
  }

  private admit(lease: Lease<Endpoint>, now: number): Permit | null {
    const gate = this.gates.get(lease.endpoint.id);
    return gate === undefined ? freePermit : gate.tryAcquire(now);
  }

  private change(changed: ClusterEvent['change']): void {
    const { options, queue } = this;
    const gone = new Set<string>();
    const joined: Endpoint[] = [];
    for (const [id, given] of Object.entries(changed)) {
      const known = this.servers.get(id);
      if (given === undefined) gone.add(id);
      else if (known !== undefined) known.change(given);
      else {
        const endpoint = {
          id,
          url: `http://${id}`,
          weight: given.weight ?? 100,
          zone: given.zone,
          metadata: {},
        };
        this.servers.set(id, new SimulatedServer(given, queue, options.random));
        if (options.gates) this.gates.set(id, allOf(options.gates(endpoint)));
        joined.push(endpoint);
      }
    }
    this.members = [...this.members.filter(({ id }) => !gone.has(id)), ...joined];
    options.balancer.update(this.members, this.now);
  }

  private report({ calls, failures, refused, latencies }: Tally): ClusterReport {
    const sorted = Float64Array.from(latencies).sort();
    return {
      calls,
      failures,
      refused,
      servers: Object.fromEntries([...this.servers].map(([id, server]) => [id, server.report()])),
      latencyMs: (quantile) =>
        sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? Number.NaN,
    };
  }
}

/**
 * Makes servers that live in virtual time, to see what a balancer, with gates or without, makes of slow, failing, joining
 * and leaving ones: minutes of traffic take a fraction of a second, and the same seed gives the same run.
 *
 * Use it to compare policies and to choose their options. It knows no network, no retries and no second client; a client
 * stack with a `scriptedHandler` and a `manualClock` shows those.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const random = seededRandom(1);
 * const servers = { a: { serviceMs: 10 }, b: { serviceMs: 100 }, c: { serviceMs: 10, failRatio: 0.3 } };
 * const cluster = simulatedCluster({ servers, balancer: p2c({ random }), random });
 * const { servers: seen, latencyMs } = cluster.run({ perSecond: 100, durationMs: 60_000 });
 * ```
 */
export function simulatedCluster(options: SimulatedClusterOptions): SimulatedCluster {
  const { timeoutMs, random, balancer } = options;
  if (timeoutMs !== undefined)
    checkNumber('simulatedCluster.timeoutMs', timeoutMs, { above: 0, infinite: true });
  if (typeof random !== 'function') throw new TypeError('simulatedCluster.random must be a function');
  if (typeof balancer?.pick !== 'function')
    throw new TypeError('simulatedCluster.balancer must be a balancer');
  return new Cluster(options);
}
