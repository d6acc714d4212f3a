import type { Bus } from '../core/events.js';

/** Where an app is in its life; it only moves forward. */
export type AppState = 'idle' | 'starting' | 'ready' | 'draining' | 'stopped';

/** Code of the user that runs at the turns of an app's life. What a hook throws before the start ends the start; later it becomes a `fault` event. */
export interface LifecycleHooks {
  /** Before the first server listens. */
  readonly beforeStart?: (() => unknown) | undefined;
  /** After the first server is registered. */
  readonly afterStart?: (() => unknown) | undefined;
  /** Before deregistering. */
  readonly beforeStop?: (() => unknown) | undefined;
  /** After everything is closed. */
  readonly afterStop?: (() => unknown) | undefined;
}

/** The state of an app, and its announcements. */
export class Lifecycle {
  private current: AppState = 'idle';

  constructor(
    private readonly service: string,
    private readonly bus: Bus,
    private readonly hooks: LifecycleHooks,
  ) {}

  get state(): AppState {
    return this.current;
  }

  move(to: AppState): void {
    this.current = to;
    this.bus.emit('lifecycle', { service: this.service, state: to });
  }

  /** Runs a hook whose failure must not keep the rest from happening. */
  async run(name: keyof LifecycleHooks): Promise<void> {
    try {
      await this.hooks[name]?.();
    } catch (error) {
      this.bus.emit('fault', { where: name, error });
    }
  }

  /** Runs the hook that may forbid the start. */
  async runOrFail(name: keyof LifecycleHooks): Promise<void> {
    await this.hooks[name]?.();
  }
}
