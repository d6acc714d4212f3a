import type { Resolution, Watch } from './resolver.js';

/** Hands the newest snapshot of one service to whoever listens, synchronously. */
export class Feed {
  private readonly listeners = new Set<{ readonly run: (resolution: Resolution) => void }>();
  private newest: Resolution | undefined;

  /** @param onFault - what a listener threw; nobody else learns of it */
  constructor(private readonly onFault: (error: unknown) => void = () => undefined) {}

  /** The last snapshot that was published. */
  get current(): Resolution | undefined {
    return this.newest;
  }
  /** How many listen. */
  get size(): number {
    return this.listeners.size;
  }

  /** Adds a listener, which is told the current snapshot at once if there is one. */
  subscribe(run: (resolution: Resolution) => void): Watch {
    // A record of its own, so that one function that listens twice is two listeners.
    const listener = { run };
    this.listeners.add(listener);
    if (this.newest) this.tell(listener, this.newest);
    return { close: () => void this.listeners.delete(listener) };
  }

  publish(resolution: Resolution): void {
    this.newest = resolution;
    for (const listener of [...this.listeners]) {
      // A listener published in turn: everybody already has something newer, and must not be told the older one last.
      if (this.newest !== resolution) return;
      if (this.listeners.has(listener)) this.tell(listener, resolution);
    }
  }

  private tell(listener: { readonly run: (resolution: Resolution) => void }, resolution: Resolution): void {
    try {
      listener.run(resolution);
    } catch (error) {
      this.onFault(error);
    }
  }
}
