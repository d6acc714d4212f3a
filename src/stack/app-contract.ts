import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EndpointState } from '../balancer/balance.js';
import type { Bus } from '../core/events.js';
import type { Handler } from '../core/handler.js';
import type { GovernedFetch } from '../http/call-options.js';
import type { HttpListener } from '../http/listener.js';
import type { HttpHandler } from '../http/serve-handler.js';
import type { HttpClientRequest, HttpClientResponse } from '../telemetry/http-client-semantics.js';
import type { Edge, EdgePeriod } from '../topology/edge.js';
import type { EdgeMessage } from '../topology/message-edges.js';
import type { AppClientOptions, HttpClient, HttpClientOptions } from './app-client.js';
import type { ProcessedMessage } from './app-edges.js';
import type { AppListenerOptions } from './app-listener.js';
import type { AppServerOptions } from './app-server.js';
import type { ClientStack } from './client-stack.js';
import type { FetchClientOptions } from './fetch-client.js';
import type { AppState } from './lifecycle.js';
import type { Servable } from './servable.js';
import type { AppLoad } from './server-load.js';
import type { Served } from './servers.js';
import type { AnyHttpServer, ServeOptions } from './serving.js';

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
  /**
   * Who calls whom, as this process sees it: the calls of its clients and servers, and its messages, counted before any
   * sampling. Of the last whole window of ten seconds, of the one that has begun, or since the start.
   */
  edges(period?: EdgePeriod): readonly Edge[];
  /** A message was sent: an edge from this service to where the message waits. What calls cannot tell, its sender has to. */
  sent(message: EdgeMessage): void;
  /** A message was processed, well or not: an edge from whoever sent it, by where it waited, to this service. */
  processed(message: ProcessedMessage): void;
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
