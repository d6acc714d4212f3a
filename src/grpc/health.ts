import { type handleServerStreamingCall, type handleUnaryCall, type Server, status } from '@grpc/grpc-js';
import { wrongKind } from '../core/options.js';
import type { App } from '../stack/app.js';
import { healthDefinition } from './health-definition.js';
import { type HealthRequest, type HealthResponse, servingStatus } from './health-message.js';

/** Whose state is told: an app. */
export type HealthSource = Pick<App, 'state' | 'events'>;

/** Options of {@link addHealth}. */
export interface AddHealthOptions {
  /**
   * Full names of the services that can be asked for, besides the server as a whole: `['helloworld.Greeter']`. All are in
   * the state of the app; any other name is unknown.
   *
   * @defaultValue `[]`
   */
  readonly services?: readonly string[] | undefined;
}

/** Defaults of {@link AddHealthOptions}. */
export const addHealthDefaults = { services: [] } as const;

/** What a server answers about itself. */
export interface HealthImplementation {
  /** The state at this moment. */
  readonly check: handleUnaryCall<HealthRequest, HealthResponse>;
  /** The state, and every change of it until the server begins to stop. */
  readonly watch: handleServerStreamingCall<HealthRequest, HealthResponse>;
}

/** The state of an app in the words of the health service. */
export class Health {
  private readonly services: ReadonlySet<string>;

  constructor(
    private readonly app: HealthSource,
    { services = addHealthDefaults.services }: AddHealthOptions = {},
  ) {
    this.services = new Set(['', ...services]);
  }

  knows(service: string): boolean {
    return this.services.has(service);
  }

  /** Whether nothing will change any more. A stream that went on would only hold up the end of the server. */
  get ending(): boolean {
    return this.app.state === 'draining' || this.app.state === 'stopped';
  }

  of(service: string): HealthResponse {
    if (!this.knows(service)) return { status: servingStatus.SERVICE_UNKNOWN };
    return { status: this.app.state === 'ready' ? servingStatus.SERVING : servingStatus.NOT_SERVING };
  }

  /** @returns what ends it */
  onChange(run: () => void): () => void {
    return this.app.events.on('lifecycle', run);
  }
}

/** What is said of a service that nobody knows. */
export const unknownService = 'unknown service';

/**
 * The health service of an app for grpc-js: SERVING while the app is ready, NOT_SERVING before and from the moment it
 * begins to stop, which also ends what is watched. {@link addHealth} puts it into a server.
 */
export function healthImplementation(app: HealthSource, options?: AddHealthOptions): HealthImplementation {
  const health = new Health(app, options);
  return {
    check: ({ request: { service } }, callback) => {
      if (health.knows(service)) callback(null, health.of(service));
      else callback({ code: status.NOT_FOUND, details: unknownService });
    },
    watch: (call) => {
      const { service } = call.request;
      let told: number | undefined;
      const tell = (): void => {
        const response = health.of(service);
        // Nobody who watches is told twice: the states of an app are more than those of the service.
        if (response.status !== told) call.write(response);
        told = response.status;
        if (health.ending) call.end();
      };
      const off = health.onChange(tell);
      for (const event of ['close', 'cancelled', 'finish', 'error']) call.once(event, off);
      tell();
    },
  };
}

/**
 * Adds gRPC's health service to a server, wired to the readiness of the app. It needs no proto file, and no limit and no
 * span of {@link governServer} applies to it. For nice-grpc there is {@link niceHealth}.
 *
 * @throws Error when the server has a health service already
 * @example
 * ```ts
 * addHealth(server, app, { services: ['helloworld.Greeter'] });
 * ```
 */
export function addHealth(
  server: Pick<Server, 'addService'>,
  app: HealthSource,
  options?: AddHealthOptions,
): void {
  if (typeof server?.addService !== 'function')
    throw wrongKind('addHealth: the first argument', 'a server of grpc-js', server);
  server.addService(healthDefinition, { ...healthImplementation(app, options) });
}
