import { type Clock, systemClock } from '../core/clock.js';
import { wrongKind } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import type { Registry } from '../discovery/registrar.js';
import type { Resolver } from '../discovery/resolver.js';
import type { StaticEndpoint } from '../discovery/static.js';
import type { HttpRequest } from '../http/request.js';
import type { AccessLogOptions } from '../telemetry/access-log.js';
import { chosenPropagation, type PropagationOptions } from '../telemetry/propagation-options.js';
import { checkTraceHeaders, type TraceHeader } from '../telemetry/trace-header.js';
import { checkAdvertised } from './advertise.js';
import { type AppEdgesOptions, checkEdges } from './app-edges.js';
import { type ClientPolicy, checkPolicy } from './client-policy.js';
import { knownHooks, type LifecycleHooks } from './lifecycle.js';
import { checkGiven, checkOptions } from './policy-checks.js';

/** Options of {@link createApp}. Only `service` is needed. */
export interface AppOptions {
  /** Logical name of this service: what others call it, and what they see as their caller. */
  readonly service: string;
  /**
   * Where services are found and this one is registered: addresses of a registry that speaks the discovery protocol, a
   * {@link Registry}, or a {@link Resolver} that only finds, such as `dns`; then nothing is registered. What is given as
   * an object is not closed by the app.
   *
   * @defaultValue none: only `endpoints` can be called
   */
  readonly registry?: string | readonly string[] | Registry | Resolver | undefined;
  /**
   * Addresses of services that no registry knows: `{ users: ['http://localhost:3001'] }`. They go before the registry.
   *
   * @defaultValue `{}`
   */
  readonly endpoints?: Readonly<Record<string, readonly (string | StaticEndpoint)[]>> | undefined;
  /**
   * Failure domain of this process.
   *
   * @defaultValue `''`: the registry's, that is `ZONE` or `default`
   */
  readonly zone?: string | undefined;
  /**
   * Deployment environment; services of different environments do not see each other.
   *
   * @defaultValue `''`: the registry's, that is `DEPLOY_ENV` or `default`
   */
  readonly env?: string | undefined;
  /**
   * Geographic region.
   *
   * @defaultValue `''`: the registry's, that is `REGION` or none
   */
  readonly region?: string | undefined;
  /**
   * Version of this service, told to the registry.
   *
   * @defaultValue `''`
   */
  readonly version?: string | undefined;
  /**
   * Share of the traffic that this process should get in relation to others; above 0.
   *
   * @defaultValue `100`
   */
  readonly weight?: number | undefined;
  /**
   * Labels, told to the registry.
   *
   * @defaultValue `{}`
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * Host name or IP address under which others reach this process; never a wildcard.
   *
   * @defaultValue none: `KEELSON_ADVERTISE_HOST`, else the bound address, else the local address of the way to the registry
   */
  readonly advertiseHost?: string | undefined;
  /**
   * Whether `serve` registers. `false` for a process that calls others and is called by address.
   *
   * @defaultValue `true`
   */
  readonly register?: boolean | undefined;
  /**
   * How the clients of this app are governed, unless one says otherwise: those that `fetch` makes, and those of axios, gRPC,
   * Connect and any other wire. What looks at the messages of `fetch` is for `fetch` alone: `use`, `useAttempt`, `retry.when`,
   * `retry.onRetry`. One that says `retry` says all of it. A gate in `limits` is one for all of them.
   *
   * @defaultValue `{}`
   */
  readonly client?: ClientPolicy<HttpRequest, Response> | undefined;
  /**
   * How long the servers go on accepting after they were deregistered, in milliseconds; 0 or more. A larger value loses
   * fewer calls of clients that hear of the end late, and stops later.
   *
   * @defaultValue none: 5000 on Kubernetes, 0 under a test runner, else 1000
   */
  readonly drainPauseMs?: number | undefined;
  /**
   * Longest wait for calls in flight at the end, in milliseconds; 0 or more. What is left then is cut.
   *
   * @defaultValue `20_000`
   */
  readonly closeTimeoutMs?: number | undefined;
  /**
   * Whether `serve` makes SIGTERM and SIGINT stop the app. When all apps of the process have stopped, the signal is raised
   * again; a second signal raises it at once. `false` where something else ends the process in order, such as a framework
   * with shutdown hooks: call `stop` there.
   *
   * @defaultValue `true`
   */
  readonly signals?: boolean | undefined;
  /**
   * Who calls whom, for `app.edges()` and metrics; `false` to count nothing.
   *
   * @defaultValue `{}`
   */
  readonly edges?: AppEdgesOptions | false | undefined;
  /**
   * Whether metrics show each endpoint of its clients by itself too, `keelson.endpoint.inflight` and
   * `keelson.endpoint.load`. With each deployment these are new series.
   *
   * @defaultValue `false`
   */
  readonly endpointMetrics?: boolean | undefined;
  /**
   * Whether metrics show the runtime of this process: event loop, heap, pauses for garbage, CPU. Once, however many apps
   * there are. `false` beside something else that shows `nodejs.*` and `v8js.*`. No effect without an SDK.
   *
   * @defaultValue `true`
   */
  readonly runtimeMetrics?: boolean | undefined;
  /**
   * A line for each call of the servers, on standard output with `true`; see {@link accessLog}. It is flushed when the app
   * stops. Requests that are refused before calls are made of them (`rejectEarly`) share a line that counts them.
   *
   * @defaultValue none
   */
  readonly accessLog?: AccessLogOptions | boolean | undefined;
  /**
   * In which words trace and baggage travel, in and out: `{ inject: ['w3c', 'baggage', 'b3'] }` beside services that know
   * only B3.
   *
   * @defaultValue those of a `propagator()` that is registered for the process, else W3C is written and everything read
   */
  readonly propagation?: PropagationOptions | undefined;
  /**
   * Headers of responses that tell the caller which span served it: `traceresponse`, `server-timing`, `x-trace-id`.
   *
   * @defaultValue `[]`
   */
  readonly traceHeaders?: readonly TraceHeader[] | undefined;
  /**
   * What sends the spans and metrics of this process, as `telemetry()` of `keelson/otel` makes it: it is shut down when all
   * else of the app has stopped. With several apps in one process give it to the one that stops last.
   *
   * @defaultValue none
   */
  readonly telemetry?:
    | {
        /** Sends what is left and ends; called once, awaited, and what it throws is told as `fault`. */
        shutdown(): Promise<void>;
      }
    | undefined;
  /**
   * Code to run at the turns of the app's life.
   *
   * @defaultValue `{}`
   */
  readonly hooks?: LifecycleHooks | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Draws numbers.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link AppOptions}. */
export const appDefaults = {
  registry: undefined,
  endpoints: {},
  zone: '',
  env: '',
  region: '',
  version: '',
  weight: 100,
  metadata: {},
  advertiseHost: undefined,
  register: true,
  client: {},
  drainPauseMs: undefined,
  closeTimeoutMs: 20_000,
  signals: true,
  edges: {},
  endpointMetrics: false,
  runtimeMetrics: true,
  accessLog: undefined,
  propagation: undefined,
  traceHeaders: [],
  telemetry: undefined,
  hooks: {},
  clock: systemClock,
  random: systemRandom,
} as const;

/** Kubernetes takes a pod out of its services while the pod already gets SIGTERM: others need time to hear of it. */
export function usualDrainPauseMs(env: NodeJS.ProcessEnv): number {
  if (env['KUBERNETES_SERVICE_HOST']) return 5000;
  return env['NODE_ENV'] === 'test' || env['VITEST'] || env['JEST_WORKER_ID'] ? 0 : 1000;
}

const bounds = {
  weight: { above: 0 },
  drainPauseMs: { min: 0 },
  closeTimeoutMs: { min: 0 },
};

function checkLabels(metadata: AppOptions['metadata']): void {
  for (const [name, value] of Object.entries(metadata ?? {})) {
    if (typeof value !== 'string')
      throw new TypeError(`createApp.metadata.${name} must be a string, got ${String(value)}`);
  }
}

/** Refuses what cannot work, when the app is made and not when it is called. */
export function checkAppOptions(options: AppOptions): void {
  checkGiven('createApp', options);
  checkOptions('createApp', { known: { ...appDefaults, service: undefined }, bounds }, options);
  const { service, client, edges, hooks, advertiseHost, metadata } = options;
  if (typeof service !== 'string' || !/^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$/.test(service)) {
    throw new TypeError(
      `createApp.service must be a name of letters, digits, ".", "_" and "-", got ${JSON.stringify(service)}`,
    );
  }
  checkOptions('createApp.hooks', { known: knownHooks }, hooks);
  for (const [name, hook] of Object.entries(hooks ?? {})) {
    if (hook !== undefined && typeof hook !== 'function')
      throw wrongKind(`createApp.hooks.${name}`, 'a function', hook);
  }
  checkPolicy('createApp.client', client);
  chosenPropagation('createApp', options.propagation);
  checkTraceHeaders('createApp.traceHeaders', options.traceHeaders ?? []);
  checkEdges('createApp.edges', edges);
  const { telemetry } = options;
  if (telemetry !== undefined && typeof telemetry?.shutdown !== 'function')
    throw wrongKind('createApp.telemetry', 'a telemetry, as telemetry() makes it', telemetry);
  checkLabels(metadata);
  if (advertiseHost !== undefined) checkAdvertised('createApp.advertiseHost', advertiseHost);
}
