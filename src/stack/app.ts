import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.js';
import { GovernanceError } from '../core/errors.js';
import type { Gate } from '../core/gate.js';
import type { Handler } from '../core/handler.js';
import { inNameOf } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';
import type { Random } from '../core/random.js';
import type { GovernedFetch } from '../http/call-options.js';
import type { Aside, HttpListener } from '../http/listener.js';
import type { HttpHandler } from '../http/serve-handler.js';
import {
  type HttpClientRequest,
  type HttpClientResponse,
  httpClientSemantics,
} from '../telemetry/http-client-semantics.js';
import type { Edge, EdgePeriod } from '../topology/edge.js';
import type { EdgeMessage } from '../topology/message-edges.js';
import {
  type AppClientOptions,
  appClientOptions,
  forAnyWire,
  type HttpClient,
  type HttpClientOptions,
  namesOfClient,
  operationsOf,
} from './app-client.js';
import type { App, ClientSnapshot } from './app-contract.js';
import { type ProcessedMessage, producerOf } from './app-edges.js';
import { AppEvents } from './app-events.js';
import { type AppListenerOptions, appListener } from './app-listener.js';
import { type AppOptions, appDefaults, checkAppOptions, usualDrainPauseMs } from './app-options.js';
import { type AppServerOptions, appServer, type ServerParts } from './app-server.js';
import { AppTelemetry } from './app-telemetry.js';
import { checkClientOptions } from './client-policy.js';
import { type ClientStack, clientStack } from './client-stack.js';
import { checkFetchOptions, type FetchClientOptions, fetchClient } from './fetch-client.js';
import { answerHealth, isHealthRequest } from './health.js';
import { fetchSizes } from './http-sizes.js';
import { type AppState, Lifecycle } from './lifecycle.js';
import { checkGiven, overlay } from './policy-checks.js';
import type { Servable } from './servable.js';
import { type AppLoad, ServerLoadWatch } from './server-load.js';
import { ServerQueues } from './server-queue.js';
import { type Served, Servers } from './servers.js';
import { type AnyHttpServer, type ServeOptions, type ServeSettings, serveDefaults } from './serving.js';
import { onTermination } from './signals.js';
import { type Sources, sourcesOf } from './sources.js';
import { pause, within } from './waiting.js';
import { warnOfMismatch, warnOfUngoverned } from './warnings.js';

export type { App, ClientSnapshot };

/** Registries promise to take no longer than one request may; one that breaks the promise must not hold the end up. */
const registryPatienceMs = 10_000;

/** The same for a server of the user's own kind that does not keep to the time it is given to close. */
const lateMs = 1000;

/** A client of the app, until somebody closes it. */
interface OwnClient {
  readonly service: string;
  readonly stack: Pick<ClientStack<never, unknown>, 'snapshot' | 'tries' | 'close'>;
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
  private readonly telemetry: AppTelemetry;
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
    this.telemetry = new AppTelemetry(options, this.events.own, clock);
    this.lifecycle = new Lifecycle(service, this.events, hooks);
    this.sources = sourcesOf(options, { bus: this.events, clock, random });
    this.queues = new ServerQueues({
      defaults: { clock },
      listener: {
        onTransition: (shedding) => this.events.emit('shedding', { service, shedding }),
        onRefuse: (now, priority) => this.loadWatch().meter.refused(now, priority),
      },
      watch: (queue) => {
        this.loadWatch().add(queue);
        this.telemetry.parts.addQueue(queue);
      },
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
    this.own({ service, stack: client.stack }, policy.limits);
    if (options === undefined) this.fetches.set(service, client.fetch);
    return client.fetch;
  }

  client<Req, Res>(service: string, options: AppClientOptions<Req, Res>): ClientStack<Req, Res> {
    this.mustRun();
    checkClientOptions('app.client', options, appClientOptions);
    const { client } = this.options;
    const resolver = this.sources.resolverOf(service);
    const policy = { wire: options.wire, ...overlay(forAnyWire<Req, Res>(client), options) };
    const edges = this.telemetry.topology;
    const parts = { caller: this.service, ...policy, ...this.parts(), edges, service, resolver };
    const names = namesOfClient('app.client', client, options);
    const stack = inNameOf(names, () => clientStack<Req, Res>(parts));
    const disown = this.own({ service, stack }, policy.limits);
    const close = (): void => {
      disown();
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

  edges(period?: EdgePeriod): readonly Edge[] {
    return this.telemetry.topology?.edges(period) ?? [];
  }

  sent(message: EdgeMessage): void {
    this.telemetry.topology?.sent(message);
  }

  processed({ token, ...message }: ProcessedMessage): void {
    this.telemetry.topology?.processed({ ...message, producer: producerOf(token) });
  }

  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** @returns what takes a client away that its user closes */
  private own(client: OwnClient, limits: readonly Gate[] | undefined): () => void {
    const { clients, telemetry } = this;
    clients.add(client);
    const forget = telemetry.parts.addClient(client.service, client.stack);
    telemetry.limitedBy('client', client.service, limits);
    return () => {
      clients.delete(client);
      forget();
    };
  }

  private parts() {
    const { propagation } = this.options;
    return { bus: this.events, clock: this.clock, random: this.random, propagation };
  }

  private shared() {
    const { topology: edges, sizes } = this.telemetry;
    return { ...this.parts(), caller: this.service, edges, sizes: sizes ? fetchSizes : undefined };
  }

  private serverParts(): ServerParts {
    const { service, events, clock, queues, telemetry } = this;
    const atEnd = (run: () => void): void => void this.closers.push(run);
    return { service, events, clock, queues, telemetry, load: () => this.loadWatch(), atEnd };
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
    this.telemetry.close();
    lifecycle.move('stopped');
    await lifecycle.run('afterStop');
    const { telemetry } = this.options;
    if (telemetry !== undefined)
      await within(
        lifecycle.attempt('telemetry', () => telemetry.shutdown()),
        closeTimeoutMs + lateMs,
        clock,
      );
    this.telemetry.hide();
    this.removeSignals?.();
  }
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
