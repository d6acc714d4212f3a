import type { Clock } from '../core/clock.js';
import type { Bus } from '../core/events.js';
import type { Gate } from '../core/gate.js';
import { inNameOf } from '../core/in-name-of.js';
import { wrongKind } from '../core/options.js';
import { type AccessLog, type AccessLogOptions, accessLog } from '../telemetry/access-log.js';
import { edgeMetrics } from '../telemetry/edge-metrics.js';
import { governanceGauges } from '../telemetry/governance-gauges.js';
import { governanceMetrics } from '../telemetry/governance-metrics.js';
import type { Observation } from '../telemetry/observed.js';
import { runtimeMetrics } from '../telemetry/runtime-metrics.js';
import { type Topology, topology } from '../topology/topology.js';
import { type AppEdgesOptions, appEdgesDefaults } from './app-edges.js';
import type { AppOptions } from './app-options.js';
import { GovernedParts } from './governed-parts.js';
import { overlay } from './policy-checks.js';
import type { ServerStackOptions } from './server-stack.js';

/** What an app shows of itself: edges, gauges, counts of what is told on its bus. Taken away when it stops. */
export class AppTelemetry {
  /** Who calls whom; `undefined` if nobody wants to know. */
  readonly topology: Topology | undefined;
  /** Clients, limits and queues, for gauges. */
  readonly parts: GovernedParts;
  /** Whether sizes of messages are counted. */
  readonly sizes: boolean;
  /** What all servers are told of traces and logs. */
  readonly told: Pick<ServerStackOptions<never, never>, 'propagation' | 'traceHeaders' | 'accessLog'>;
  private readonly observations: readonly Observation[];
  private readonly endMetrics: () => void;
  private readonly endLog: (() => void) | undefined;

  constructor(
    private readonly options: AppOptions,
    bus: Bus,
    clock: Clock,
  ) {
    const { service, edges, endpointMetrics, runtimeMetrics: runtime = true } = options;
    this.parts = new GovernedParts(service, clock);
    this.sizes = edges !== false && (edges?.bytes ?? appEdgesDefaults.bytes);
    this.topology = edges === false ? undefined : this.topologyOf(edges, clock);
    const { propagation, traceHeaders } = options;
    this.told = { propagation, traceHeaders, accessLog: this.logOf(options.accessLog, clock) };
    this.endMetrics = governanceMetrics(bus, { clock });
    this.endLog = this.told.accessLog?.listen(bus);
    const shown = this.topology;
    this.observations = [
      governanceGauges(this.parts.read, { perEndpoint: endpointMetrics }),
      ...(shown === undefined
        ? []
        : [edgeMetrics((period) => (period === 'total' ? shown.counters() : shown.edges(period)))]),
      ...(runtime ? [runtimeMetrics()] : []),
    ];
  }

  /** An SDK may have been registered since. */
  readonly refresh = (): void => {
    for (const { refresh } of this.observations) refresh();
  };

  /** Limits of a server or client; those that the app gives to all its clients are its own. */
  limitedBy(side: 'client' | 'server', service: string, limits: readonly Gate[] | undefined): void {
    const shared = side === 'client' && limits !== undefined && limits === this.options.client?.limits;
    this.parts.addLimits(side, shared ? this.options.service : service, limits);
    this.refresh();
  }

  /** Ends what listens: nothing happens any more. What is read stays. */
  close(): void {
    this.endMetrics();
    this.endLog?.();
    this.told.accessLog?.close();
  }

  /** Shows nothing from now on. Whoever pushes has to have read it by then, or what came since the last time is lost. */
  hide(): void {
    for (const { stop } of this.observations) stop();
  }

  private logOf(option: AppOptions['accessLog'], clock: Clock): AccessLog | undefined {
    if (option === undefined || option === false) return undefined;
    if (option !== true && (typeof option !== 'object' || option === null))
      throw wrongKind('createApp.accessLog', 'an object or a boolean', option);
    const given = option === true ? {} : option;
    return inNameOf({ accessLog: 'createApp.accessLog' }, () =>
      accessLog(overlay<AccessLogOptions>({ clock }, given)),
    );
  }

  private topologyOf(edges: AppOptions['edges'], clock: Clock): Topology {
    const given: AppEdgesOptions = edges || {};
    const { windowMs, maxEdges } = given;
    return topology({ service: this.options.service, windowMs, maxEdges, clock, onWindow: this.refresh });
  }
}
