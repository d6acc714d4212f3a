import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type Clock, systemClock } from '../core/clock.js';
import { type Bus, createBus } from '../core/events.js';
import { type Random, systemRandom } from '../core/random.js';
import type { Registration } from '../discovery/registrar.js';
import type { GovernedFetch } from '../http/call-options.js';
import type { HttpHandler } from '../http/serve-handler.js';
import { governanceMetrics } from '../telemetry/governance-metrics.js';
import { type AppListenerOptions, appListener } from './app-listener.js';
import { type AppOptions, appDefaults, checkAppOptions, usualDrainPauseMs } from './app-options.js';
import { type ClientStack, type ClientStackOptions, clientStack } from './client-stack.js';
import { type FetchClientOptions, fetchClient } from './fetch-client.js';
import { answerHealth } from './health.js';
import { type AppState, Lifecycle } from './lifecycle.js';
import { registerServer } from './registered.js';
import { type AnyHttpServer, askToLeave, type Bound, closeServer, listen } from './serving.js';
import { onTermination } from './signals.js';
import { type Sources, sourcesOf } from './sources.js';

/** Options of {@link App.client}: those of a client stack but for what the app itself knows. */
export type AppClientOptions<Req, Res> = Omit<
  ClientStackOptions<Req, Res>,
  'service' | 'resolver' | 'bus' | 'clock' | 'random'
>;

/** Options of {@link App.serve}. */
export interface ServeOptions {
  /**
   * Port to listen on; 0 for any that is free. No effect on a server that already listens.
   *
   * @defaultValue `0`
   */
  readonly port?: number | undefined;
  /**
   * Address to bind to.
   *
   * @defaultValue none: all addresses
   */
  readonly host?: string | undefined;
}

/** A server that an app serves. */
export interface Served extends Bound {
  /** The address that others see: `http://10.0.0.7:8080`. */
  readonly url: string;
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
   * Makes a governed `fetch` for one service. Takes a path, or an absolute URL whose host is the service's name.
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
  /** Makes a governed listener for `http.createServer`. */
  listener(handler: HttpHandler, options?: AppListenerOptions): RequestListener;
  /**
   * Listens, registers, is ready. Rejects with the platform's error when the port is taken.
   *
   * @throws (as a rejection) what `hooks.beforeStart` throws
   */
  serve(server: AnyHttpServer, options?: ServeOptions): Promise<Served>;
  /** Answers `/healthz` and `/readyz`. @returns whether the request was one of them */
  health(req: IncomingMessage, res: ServerResponse): boolean;
  /** Deregisters, drains, closes. Calls in flight finish. A second call joins the first. */
  stop(): Promise<void>;
  /** The same as `stop`. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface Serving {
  readonly server: AnyHttpServer;
  readonly registration: Registration | undefined;
}

class KeelsonApp implements App {
  readonly events: Bus = createBus();
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly sources: Sources;
  private readonly lifecycle: Lifecycle;
  private readonly closers: (() => void)[] = [];
  private readonly serving: Serving[] = [];
  private removeSignals: () => void = () => undefined;
  private stopping: Promise<void> | undefined;

  constructor(private readonly options: AppOptions) {
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? systemRandom;
    this.lifecycle = new Lifecycle(options.service, this.events, options.hooks ?? {});
    this.sources = sourcesOf(options, this.events, this.clock, this.random);
    this.closers.push(governanceMetrics(this.events));
  }

  get service(): string {
    return this.options.service;
  }
  get state(): AppState {
    return this.lifecycle.state;
  }

  fetch(service: string, options: FetchClientOptions = {}): GovernedFetch {
    const client = fetchClient(service, this.sources.resolverOf(service), {
      ...this.shared(),
      ...this.options.client,
      ...options,
    });
    this.closers.push(() => client.stack.close());
    return client.fetch;
  }

  client<Req, Res>(service: string, options: AppClientOptions<Req, Res>): ClientStack<Req, Res> {
    const resolver = this.sources.resolverOf(service);
    const stack: ClientStack<Req, Res> = clientStack({ ...this.shared(), ...options, service, resolver });
    this.closers.push(() => stack.close());
    return stack;
  }

  listener(handler: HttpHandler, options: AppListenerOptions = {}): RequestListener {
    const { listener, close } = appListener(handler, { service: this.service, ...this.shared(), ...options });
    this.closers.push(close);
    if (!options.health) return listener;
    return (req, res) => {
      if (!this.health(req, res)) listener(req, res);
    };
  }

  async serve(server: AnyHttpServer, options: ServeOptions = {}): Promise<Served> {
    if (this.stopping !== undefined)
      throw new TypeError(`app "${this.service}" was stopped; make another one`);
    const first = this.state === 'idle';
    if (first) {
      this.lifecycle.move('starting');
      await this.lifecycle.runOrFail('beforeStart');
      if (this.options.signals !== false) this.removeSignals = onTermination(() => this.stop());
    }
    const bound = await listen(server, options.port ?? 0, options.host);
    const { url, registration } = await registerServer(this.sources.registry, this.options, bound);
    this.serving.push({ server, registration });
    if (first) {
      this.lifecycle.move('ready');
      await this.lifecycle.run('afterStart');
    }
    return { ...bound, url };
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

  private shared() {
    return { bus: this.events, clock: this.clock, random: this.random, caller: this.service };
  }

  private async shutDown(): Promise<void> {
    const { drainPauseMs = usualDrainPauseMs(process.env), closeTimeoutMs = appDefaults.closeTimeoutMs } =
      this.options;
    this.lifecycle.move('draining');
    await this.lifecycle.run('beforeStop');
    await Promise.all(this.serving.map(({ registration }) => registration?.deregister()));
    for (const { server } of this.serving) askToLeave(server);
    if (this.serving.length > 0 && drainPauseMs > 0) await this.pause(drainPauseMs);
    await Promise.all(this.serving.map(({ server }) => closeServer(server, closeTimeoutMs, this.clock)));
    for (const close of this.closers) close();
    await this.sources.close();
    this.lifecycle.move('stopped');
    await this.lifecycle.run('afterStop');
    this.removeSignals();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, resolve);
    });
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
