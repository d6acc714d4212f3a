import type { Clock } from '../core/clock.js';
import type { Registrar, Registration, Registry } from '../discovery/registrar.js';
import type { AppOptions } from './app-options.js';
import { registerServer } from './registered.js';
import { type Bound, isServable, type Servable } from './servable.js';
import { ServedServer } from './served-server.js';
import type { AnyHttpServer, ServeSettings } from './serving.js';

/** What the servers of an app need. */
export interface ServersParts {
  readonly options: AppOptions;
  /** Where they are made known. */
  readonly registrar: (Registrar & Pick<Registry, 'localAddress'>) | undefined;
  readonly clock: Clock;
  /** Throws once the app stops. */
  readonly mustRun: () => void;
  /** Whether a listener was made by the app. */
  readonly isGoverned: (listener: unknown) => boolean;
}

/** A server that an app serves. */
export interface Served extends Bound {
  /** The address that others see: `http://10.0.0.7:8080`, `grpc://10.0.0.7:9000`. */
  readonly url: string;
}

/** Runs one step whatever becomes of the others. */
type Attempt = (step: () => unknown) => Promise<void>;

interface Entry {
  readonly server: Servable;
  readonly registration: Registration | undefined;
}

/** The servers of one app. */
export class Servers {
  private readonly entries: Entry[] = [];
  private readonly starting = new Set<Promise<Served>>();

  constructor(private readonly parts: ServersParts) {}

  /** How many there are, those that are starting included. */
  get size(): number {
    return this.entries.length + this.starting.size;
  }

  /** Listens and registers. When it fails, or the app is stopped meanwhile, nothing of it is left. */
  async start(server: AnyHttpServer | Servable, settings: ServeSettings): Promise<Served> {
    const start = this.launch(server, settings);
    this.starting.add(start);
    try {
      return await start;
    } finally {
      this.starting.delete(start);
    }
  }

  /** When none is starting any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.starting);
  }

  async deregister(attempt: Attempt): Promise<void> {
    await Promise.all(this.entries.map(({ registration }) => attempt(() => registration?.deregister())));
  }

  async leave(attempt: Attempt): Promise<void> {
    await Promise.all(this.entries.map(({ server }) => attempt(() => server.leave())));
  }

  async close(attempt: Attempt, timeoutMs: number): Promise<void> {
    const { clock } = this.parts;
    await Promise.all(this.entries.map(({ server }) => attempt(() => server.close(timeoutMs, clock))));
  }

  private async launch(given: AnyHttpServer | Servable, settings: ServeSettings): Promise<Served> {
    const { options, registrar, mustRun, clock } = this.parts;
    const server = this.servableOf(given, settings);
    let registration: Registration | undefined;
    try {
      const bound = await server.listen(settings);
      mustRun();
      const registered = await registerServer(registrar, options, bound);
      registration = registered.registration;
      mustRun();
      this.entries.push({ server, registration });
      return { ...bound, url: registered.url };
    } catch (error) {
      await registration?.deregister().catch(() => undefined);
      // Why the start failed tells more than why that could not be undone.
      await server.withdraw(clock).catch(() => undefined);
      throw error;
    }
  }

  private servableOf(server: AnyHttpServer | Servable, { keepAliveTimeoutMs }: ServeSettings): Servable {
    if (isServable(server)) return server;
    if (typeof server?.prependListener === 'function' && 'listening' in server)
      return new ServedServer(server, { keepAliveTimeoutMs, isGoverned: this.parts.isGoverned });
    throw new TypeError(
      'serve: the server must be one of node:http, node:https or node:http2, or what grpcServer makes',
    );
  }
}
