import type { Bus } from '../core/events.js';

/** Where an app is in its life. It moves forward, but for a start that fails: then it is `idle` again. */
export type AppState = 'idle' | 'starting' | 'ready' | 'draining' | 'stopped';

/** Code of the user that runs at the turns of an app's life. What a hook throws before the start ends the start; later it becomes a `fault` event. */
export interface LifecycleHooks {
  /** Before the first server listens. Runs once, and again only after it failed. */
  readonly beforeStart?: (() => unknown) | undefined;
  /** After the first server is registered. */
  readonly afterStart?: (() => unknown) | undefined;
  /** Before deregistering, which waits for it. */
  readonly beforeStop?: (() => unknown) | undefined;
  /** After everything is closed. */
  readonly afterStop?: (() => unknown) | undefined;
}

/** One entry for every hook that exists. */
export const knownHooks = {
  beforeStart: undefined,
  afterStart: undefined,
  beforeStop: undefined,
  afterStop: undefined,
} as const;

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

  /** Runs the hook that may forbid the start. */
  async permit(): Promise<void> {
    await this.hooks.beforeStart?.();
  }

  /** Runs a hook whose failure must not keep the rest from happening. */
  run(name: Exclude<keyof LifecycleHooks, 'beforeStart'>): Promise<void> {
    return this.attempt(name, () => this.hooks[name]?.());
  }

  /** Runs a step that must not keep the next from happening. What it throws is told as a fault. */
  async attempt(where: string, step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.bus.emit('fault', { where, error });
    }
  }
}
