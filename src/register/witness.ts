import type { IncomingMessage } from 'node:http';
import type { Attributes, Histogram, Tracer } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { systemClock } from '../core/clock.js';
import type { Trust } from '../http/inbound.js';
import { truster } from '../http/inbound.js';
import { edgeMetrics } from '../telemetry/edge-metrics.js';
import { durationBuckets } from '../telemetry/http-method.js';
import { lazyInstruments, tracerSource } from '../telemetry/open-telemetry.js';
import { callerNames, isServiceName } from '../telemetry/service-name.js';
import type { Edge, EdgePeriod } from '../topology/edge.js';
import { topology } from '../topology/topology.js';
import type { IsInner } from './inner-host.js';
import { Origins } from './origin.js';
import { WitnessedEdges } from './witnessed-edges.js';

/** How long requests took, in seconds. */
export interface Durations {
  readonly server: Histogram<Attributes>;
  readonly client: Histogram<Attributes>;
  readonly rpcServer: Histogram<Attributes>;
  readonly rpcClient: Histogram<Attributes>;
}

/** What hooks record with. Asked for each request: an SDK may be registered late, and go again. */
export interface Witness {
  /** Logical name of this process. */
  readonly service: string;
  /** The same as callees of the same network are told it; `undefined` when it is no name that could be told. */
  readonly caller: string | undefined;
  /** Who calls, for metrics. */
  callerOf(call: Call): string;
  /** The tracer of what is registered; `undefined` while nothing is. */
  tracer(): Tracer | undefined;
  /** `undefined` while nobody measures. */
  durations(): Durations | undefined;
  /** Whether the baggage of a peer is believed. */
  trusts(req: IncomingMessage): boolean;
  /** Where requests go. */
  readonly origins: Origins;
  /** Monotonic milliseconds. */
  now(): number;
  /** Counts who calls whom; while nobody measures, nobody asks. */
  readonly edges: WitnessedEdges;
  /** What was counted. */
  edgesOf(period?: EdgePeriod): readonly Edge[];
  /** Shows no edges any more. */
  stop(): void;
}

/** What a witness is made with. */
export interface WitnessOptions {
  readonly service: string;
  readonly trust: Trust;
  readonly isInner: IsInner;
}

/** What OpenTelemetry calls a service that was not named. */
const unnamed = 'unknown_service';

/** Records with whatever is registered at `@opentelemetry/api`. */
export function witness({ service, trust, isInner }: WitnessOptions): Witness {
  const source = tracerSource(undefined);
  const callerOf = callerNames();
  const counted = topology({ service, onWindow: () => shown.refresh() });
  const shown = edgeMetrics((period) => (period === 'total' ? counted.counters() : counted.edges(period)));
  const durations = lazyInstruments((meter): Durations => {
    const histogram = (name: string, description: string): Histogram<Attributes> =>
      meter.createHistogram(name, {
        description,
        unit: 's',
        advice: { explicitBucketBoundaries: [...durationBuckets] },
      });
    return {
      server: histogram('http.server.request.duration', 'Duration of HTTP server requests.'),
      client: histogram('http.client.request.duration', 'Duration of HTTP client requests.'),
      rpcServer: histogram('rpc.server.call.duration', 'Duration of inbound remote procedure calls.'),
      rpcClient: histogram('rpc.client.call.duration', 'Duration of outgoing remote procedure calls.'),
    };
  }, undefined);
  return {
    service,
    caller: isServiceName(service) && !service.startsWith(unnamed) ? service : undefined,
    callerOf,
    tracer: () => source.live(),
    durations,
    trusts: truster(trust),
    origins: new Origins(isInner),
    now: () => systemClock.now(),
    edges: new WitnessedEdges(counted, systemClock, callerOf),
    edgesOf: (period) => counted.edges(period),
    stop: () => shown.stop(),
  };
}
