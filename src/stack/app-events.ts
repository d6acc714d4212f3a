import { type Bus, createBus, type FaultEvent, type GovernanceEvents } from '../core/events.js';

/**
 * The bus of an app. It knows whether anybody but the app itself listens, and writes faults that nobody hears to the
 * console: an error of a handler must not get lost without a word.
 */
export class AppEvents implements Bus {
  /** For listeners of the app's own: they count as nobody. */
  readonly own: Bus = createBus();
  private readonly listeners = new Map<keyof GovernanceEvents, number>();
  private readonly reported = new WeakSet<FaultEvent>();

  constructor(private readonly service: string) {
    this.own.on('fault', (event) => this.write(event));
  }

  on<Name extends keyof GovernanceEvents>(name: Name, listener: GovernanceEvents[Name]): () => void {
    const off = this.own.on(name, listener);
    this.count(name, 1);
    let on = true;
    return () => {
      if (on) this.count(name, -1);
      on = false;
      off();
    };
  }
  emit<Name extends keyof GovernanceEvents>(name: Name, event: Parameters<GovernanceEvents[Name]>[0]): void {
    this.own.emit(name, event);
  }
  has(name: keyof GovernanceEvents): boolean {
    return (this.listeners.get(name) ?? 0) > 0;
  }

  /** A fault that somebody was told of in another way. */
  emitReported(event: FaultEvent): void {
    this.reported.add(event);
    this.own.emit('fault', event);
  }

  private count(name: keyof GovernanceEvents, by: number): void {
    this.listeners.set(name, (this.listeners.get(name) ?? 0) + by);
  }

  private write(event: FaultEvent): void {
    if (this.has('fault') || this.reported.has(event)) return;
    // biome-ignore lint/suspicious/noConsole: it is the last resort, and documented as such
    console.error('keelson %s: fault in %s:', this.service, event.where, event.error);
  }
}
