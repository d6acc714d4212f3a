import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EndpointState } from '../balancer/balance.js';
import type { Clock } from '../core/clock.js';
import { GovernanceError } from '../core/errors.js';
import type { Bus } from '../core/events.js';
import type { Handler } from '../core/handler.js';
import { inNameOf } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';
import type { Random } from '../core/random.js';
import type { GovernedFetch } from '../http/call-options.js';
import type { Aside, HttpListener } from '../http/listener.js';
import type { HttpHandler } from '../http/serve-handler.js';
import { governanceMetrics } from '../telemetry/governance-metrics.js';
import {
  type HttpClientRequest,
  type HttpClientResponse,
  httpClientSemantics,
} from '../telemetry/http-client-semantics.js';
import {
  type AppClientOptions,
  appClientOptions,
  forAnyWire,
  type HttpClient,
  type HttpClientOptions,
  namesOfClient,
  operationsOf,
} from './app-client.js';
import { AppEvents } from './app-events.js';
import { type AppListenerOptions, appListener } from './app-listener.js';
import { type AppOptions, appDefaults, checkAppOptions, usualDrainPauseMs } from './app-options.js';
import { type AppServerOptions, appServer, type ServerParts } from './app-server.js';
import { checkClientOptions } from './client-policy.js';
import { type ClientStack, clientStack } from './client-stack.js';
import { checkFetchOptions, type FetchClientOptions, fetchClient } from './fetch-client.js';
import { answerHealth, isHealthRequest } from './health.js';
import { type AppState, Lifecycle } from './lifecycle.js';
import { checkGiven, overlay } from './policy-checks.js';
import type { Servable } from './servable.js';
import { type AppLoad, ServerLoadWatch } from './server-load.js';
import { ServerQueues } from './server-queue.js';
import { type Served, Servers } from './servers.js';
import { type AnyHttpServer, type ServeOptions, type ServeSettings, serveDefaults } from './serving.js';
import { onTermination } from './signals.js';
import { type Sources, sourcesOf } from './sources.js';
import { warnOfMismatch, warnOfUngoverned } from './warnings.js';

/** One client of an app at one moment. */
export interface ClientSnapshot {
  /** Whom it calls. */
  readonly service: string;
  /** What it knows of each endpoint. */
  readonly endpoints: readonly EndpointState[];
}

/** One service process: its clients, its servers, its life. */
export interface App {
  /** Logical name. */
  readonly service: string;
  /** Where it is in its life. */
  readonly state: AppState;
  /** State changes of everything that belongs to it. */
  readonly events: Bus;
  /**
   * Makes a governed `fetch` for one service. Takes a path, or an absolute URL whose host is the service's name. Make it
   * once: a client with options of its own finds and measures the service by itself. Without options it is the same
   * client each time.
   *
   * @throws TypeError when the service can be found nowhere; RangeError for options out of range
   */
  fetch(service: string, options?: FetchClientOptions): GovernedFetch;
  /**
   * Makes a governed client of one service for any wire.
   *
   * @throws TypeError when the service can be found nowhere; RangeError for options out of range
   */
  client<Req, Res>(service: string, options: AppClientOptions<Req, Res>): ClientStack<Req, Res>;
  /**
   * The same for a wire of HTTP, with the spans and metrics of HTTP clients: for a client that somebody else wrote.
   *
   * @throws TypeError when the service can be found nowhere; RangeError for options out of range
   */
  httpClient<Req extends HttpClientRequest, Res extends HttpClientResponse>(
    service: string,
    options: HttpClientOptions<Req, Res>,
  ): HttpClient<Req, Res>;
  /**
   * Makes a governed listener for `http.createServer`, `https.createServer` or `http2.createServer`.
   *
   * The handler may be sync, async or in callback style, also an Express app. What it throws is answered with 500 and told
   * as `fault`; see `onError` for who hears of it. When the call's time is over it is answered with 504, and what the
   * handler still does to the response has no effect.
   *
   * @throws TypeError or RangeError for options that cannot work
   */
  listener(handler: HttpHandler, options?: AppListenerOptions): HttpListener;
  /**
   * Governs a handler of any wire as a server of this app: deadline, limits, spans and metrics, fault reports. For HTTP
   * `listener` is shorter.
   *
   * @throws TypeError or RangeError for options that cannot work
   */
  server<Req, Res>(options: AppServerOptions<Req, Res>, handler: Handler<Req, Res>): Handler<Req, Res>;
  /**
   * Listens, registers, is ready. May be called for several servers, of different kinds too: of HTTP as they are, of gRPC
   * as `grpcServer` of `keelson/grpc` makes them, others as a {@link Servable}. When it rejects, nothing of it is left: the
   * server does not listen, is not registered, and signals do what they did before.
   *
   * @throws (as a rejection) TypeError for what is no server, the platform's error when the port is taken, what `hooks.beforeStart` throws, the registry's
   * refusal, GovernanceError `SHUTTING_DOWN` when the app was stopped
   */
  serve(server: AnyHttpServer | Servable, options?: ServeOptions): Promise<Served>;
  /** What each client of this app knows of its endpoints: for a debug page or a panel, not for each call. */
  snapshot(): readonly ClientSnapshot[];
  /**
   * How loaded this process is: what its answers tell, and whether its CPU quota holds it back. Without a server nobody
   * measures, and there is nothing in it.
   */
  load(): AppLoad;
  /** Answers `/healthz` and `/readyz`. @returns whether the request was one of them */
  health(req: IncomingMessage, res: ServerResponse): boolean;
  /**
   * Deregisters, drains, closes; never rejects. Calls in flight finish. Upgraded connections are not waited for: close
   * them in `hooks.beforeStop`. A second call joins the first.
   */
  stop(): Promise<void>;
  /** The same as `stop`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Registries promise to take no longer than one request may; one that breaks the promise must not hold the end up. */
const registryPatienceMs = 10_000;

/** The same for a server of the user's own kind that does not keep to the time it is given to close. */
const lateMs = 1000;

/** A client of the app, until somebody closes it. */
interface OwnClient {
  readonly service: string;
  readonly stack: Pick<ClientStack<never, unknown>, 'snapshot' | 'close'>;
}

class KeelsonApp implements App {
  readonly service: string;
  readonly events: AppEvents;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly sources: Sources;
  private readonly lifecycle: Lifecycle;
  private readonly servers: Servers;
  private readonly closers: (() => void)[] = [];
  private readonly fetches = new Map<string, GovernedFetch>();
  private readonly clients = new Set<OwnClient>();
  private readonly governed = new WeakSet<object>();
  /** Whether a listener or server was made of it (frameworks have theirs inside), or it was said that there is none. */
  private governs = false;
  private readonly endMetrics: () => void;
  private readonly healthAside: Aside = {
    matches: isHealthRequest,
    answer: (req, res) => void this.health(req, res),
  };
  private readonly queues: ServerQueues;
  private watch: ServerLoadWatch | undefined;
  private permitted: Promise<void> | undefined;
  private removeSignals: (() => void) | undefined;
  private stopping: Promise<void> | undefined;

  constructor(private readonly options: AppOptions) {
    const { service, clock = appDefaults.clock, random = appDefaults.random, hooks = {} } = options;
    this.service = service;
    this.clock = clock;
    this.random = random;
    this.events = new AppEvents(service);
    this.endMetrics = governanceMetrics(this.events.own);
    this.lifecycle = new Lifecycle(service, this.events, hooks);
    this.sources = sourcesOf(options, { bus: this.events, clock, random });
    this.queues = new ServerQueues({
      defaults: { clock },
      listener: {
        onTransition: (shedding) => this.events.emit('shedding', { service, shedding }),
        onRefuse: (now, priority) => this.loadWatch().meter.refused(now, priority),
      },
      watch: (queue) => this.loadWatch().add(queue),
    });
    this.closers.push(() => this.queues.close());
    this.servers = new Servers({
      options,
      clock,
      registrar: this.sources.registrar,
      mustRun: () => this.mustRun(),
      isGoverned: (listener) => this.governed.has(listener as object),
    });
  }

  get state(): AppState {
    return this.lifecycle.state;
  }

  fetch(service: string, options?: FetchClientOptions): GovernedFetch {
    // Whoever asks anew for each call means the same client: one of its own would begin without endpoints and experience.
    const known = options === undefined ? this.fetches.get(service) : undefined;
    if (known !== undefined) return known;
    this.mustRun();
    checkFetchOptions(options);
    const policy = overlay<FetchClientOptions>(this.options.client, options ?? {});
    const resolver = this.sources.resolverOf(service);
    const names = namesOfClient('app.fetch', this.options.client, options);
    const client = inNameOf(names, () => fetchClient(service, resolver, { ...policy, ...this.shared() }));
    this.clients.add({ service, stack: client.stack });
    if (options === undefined) this.fetches.set(service, client.fetch);
    return client.fetch;
  }

  client<Req, Res>(service: string, options: AppClientOptions<Req, Res>): ClientStack<Req, Res> {
    this.mustRun();
    checkClientOptions('app.client', options, appClientOptions);
    const { client } = this.options;
    const resolver = this.sources.resolverOf(service);
    const policy = { wire: options.wire, ...overlay(forAnyWire<Req, Res>(client), options) };
    const parts = { caller: this.service, ...policy, ...this.parts(), service, resolver };
    const names = namesOfClient('app.client', client, options);
    const stack = inNameOf(names, () => clientStack<Req, Res>(parts));
    const own = { service, stack };
    this.clients.add(own);
    const close = (): void => {
      this.clients.delete(own);
      stack.close();
    };
    return { ...stack, close };
  }

  httpClient<Req extends HttpClientRequest, Res extends HttpClientResponse>(
    service: string,
    options: HttpClientOptions<Req, Res>,
  ): HttpClient<Req, Res> {
    checkGiven('app.client', options);
    const operationOf = operationsOf(options, this.options.client);
    const { routes: _routes, ...others } = options;
    return { ...this.client(service, { ...others, semantics: httpClientSemantics }), operationOf };
  }

  listener(handler: HttpHandler, options: AppListenerOptions = {}): HttpListener {
    this.mustRun();
    this.governs = true;
    const listener = appListener(handler, options, { ...this.serverParts(), health: this.healthAside });
    this.governed.add(listener);
    return listener;
  }

  server<Req, Res>(options: AppServerOptions<Req, Res>, handler: Handler<Req, Res>): Handler<Req, Res> {
    this.mustRun();
    this.governs = true;
    return appServer<Req, Res>(() => handler, options, this.serverParts());
  }

  async serve(server: AnyHttpServer | Servable, options?: ServeOptions): Promise<Served> {
    const settings = resolveOptions<ServeSettings>('app.serve', serveDefaults, options, {
      port: { min: 0, max: 65_535, integer: true },
      keepAliveTimeoutMs: { min: 0 },
    });
    this.mustRun();
    try {
      await this.permit();
      const served = await this.servers.start(server, settings);
      if (settings.governed && !this.governs) warnOfUngoverned(this.service);
      this.governs = true;
      if (this.state === 'starting') {
        this.lifecycle.move('ready');
        warnOfMismatch();
        await this.lifecycle.run('afterStart');
      }
      return served;
    } catch (error) {
      if (this.state === 'starting' && this.servers.size === 0) this.standDown();
      throw error;
    }
  }

  snapshot(): readonly ClientSnapshot[] {
    return Array.from(this.clients, ({ service, stack }) => ({ service, endpoints: stack.snapshot() }));
  }

  load(): AppLoad {
    return this.watch?.load() ?? {};
  }

  health(req: IncomingMessage, res: ServerResponse): boolean {
    return answerHealth(req, res, this.state);
  }

  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private parts() {
    return { bus: this.events, clock: this.clock, random: this.random };
  }

  private shared() {
    return { ...this.parts(), caller: this.service };
  }

  private serverParts(): ServerParts {
    const { service, events, clock, queues } = this;
    const atEnd = (run: () => void): void => void this.closers.push(run);
    return { service, events, clock, queues, load: () => this.loadWatch(), atEnd };
  }

  private mustRun(): void {
    if (this.stopping === undefined) return;
    const { service } = this;
    throw new GovernanceError('SHUTTING_DOWN', `app "${service}" was stopped; make another one`, { service });
  }

  /** One for all servers, since one thread serves them all. */
  private loadWatch(): ServerLoadWatch {
    if (this.watch === undefined) {
      const watch = new ServerLoadWatch(this.service, this.clock);
      this.watch = watch;
      this.closers.push(() => watch.stop());
    }
    return this.watch;
  }

  /** Asks the hook before the first server; several that start at once wait for one answer. */
  private async permit(): Promise<void> {
    if (this.state === 'idle') this.lifecycle.move('starting');
    this.permitted ??= this.lifecycle.permit();
    try {
      await this.permitted;
    } catch (error) {
      this.permitted = undefined;
      throw error;
    }
    this.mustRun();
    if (this.options.signals ?? appDefaults.signals) this.removeSignals ??= onTermination(() => this.stop());
  }

  private standDown(): void {
    this.removeSignals?.();
    this.removeSignals = undefined;
    this.lifecycle.move('idle');
  }

  private async shutDown(): Promise<void> {
    const { lifecycle, servers, clock } = this;
    const { drainPauseMs = usualDrainPauseMs(process.env), closeTimeoutMs = appDefaults.closeTimeoutMs } =
      this.options;
    lifecycle.move('draining');
    await lifecycle.run('beforeStop');
    await within(servers.settled(), registryPatienceMs, clock);
    await servers.deregister((step) =>
      within(lifecycle.attempt('deregister', step), registryPatienceMs, clock),
    );
    const close = (step: () => unknown): Promise<void> => lifecycle.attempt('close', step);
    await servers.leave(close);
    if (servers.size > 0) await pause(drainPauseMs, clock);
    await within(servers.close(close, closeTimeoutMs), closeTimeoutMs + lateMs, clock);
    for (const { stack } of this.clients) await close(() => stack.close());
    for (const closer of this.closers) await close(closer);
    await close(() => this.sources.close());
    this.endMetrics();
    lifecycle.move('stopped');
    await lifecycle.run('afterStop');
    this.removeSignals?.();
  }
}

function pause(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (ms > 0) clock.after(ms, resolve);
    else resolve();
  });
}

/** Waits for something that never rejects, but no longer than that. */
function within(work: Promise<void>, ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, resolve);
    work.then(() => {
      timer.cancel();
      resolve();
    }, resolve);
  });
}

/**
 * Makes the app of one service process: the shortest way to everything keelson does.
 *
 * One per service and process; two in one process do not meet, except that an outgoing call inherits deadline, trace
 * and metadata of the inbound call it is made in, whichever app serves that. Nothing runs until a client or a server is
 * made, and nothing the app does holds the process, except its listening servers.
 *
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const app = createApp({ service: 'orders', registry: 'http://127.0.0.1:7171' });
 * const users = app.fetch('users');
 * const server = http.createServer(app.listener(async (req, res) => {
 *   res.end(await (await users('/users/42')).text());
 * }));
 * await app.serve(server, { port: 8080 });
 * ```
 */
export function createApp(options: AppOptions): App {
  checkAppOptions(options);
  return new KeelsonApp(options);
}
