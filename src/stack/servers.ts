import type { Clock } from '../core/clock.js';
import type { Registrar, Registration, Registry } from '../discovery/registrar.js';
import type { AppOptions } from './app-options.js';
import { registerServer } from './registered.js';
import { ServedServer } from './served-server.js';
import { type AnyHttpServer, type Bound, listen, type ServeSettings } from './serving.js';

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
  /** The address that others see: `http://10.0.0.7:8080`. */
  readonly url: string;
}

interface Entry {
  readonly server: ServedServer;
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
  async start(server: AnyHttpServer, settings: ServeSettings): Promise<Served> {
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

  /** @param attempt - runs one step whatever becomes of the others */
  async deregister(attempt: (step: () => unknown) => Promise<void>): Promise<void> {
    await Promise.all(this.entries.map(({ registration }) => attempt(() => registration?.deregister())));
  }

  leave(): void {
    for (const { server } of this.entries) server.leave();
  }

  async close(timeoutMs: number): Promise<void> {
    await Promise.all(this.entries.map(({ server }) => server.close(timeoutMs, this.parts.clock)));
  }

  private async launch(server: AnyHttpServer, settings: ServeSettings): Promise<Served> {
    const { options, registrar, mustRun, isGoverned, clock } = this.parts;
    const opened = !server.listening;
    const served = new ServedServer(server, isGoverned);
    let registration: Registration | undefined;
    try {
      const bound = await listen(server, settings);
      mustRun();
      const registered = await registerServer(registrar, options, bound);
      registration = registered.registration;
      mustRun();
      this.entries.push({ server: served, registration });
      return { ...bound, url: registered.url };
    } catch (error) {
      await registration?.deregister().catch(() => undefined);
      if (opened && server.listening) await served.close(0, clock);
      else served.detach();
      throw error;
    }
  }
}
