import { raiseSignal } from './raise-signal.js';

const signals = ['SIGTERM', 'SIGINT'] as const;

type Stop = (signal: NodeJS.Signals) => Promise<void>;

/** All apps of this process end before it does: the first to be done must not take the others with it. */
class Termination {
  private readonly stops = new Set<Stop>();
  private stopping = false;

  add(stop: Stop): () => void {
    // A wrapper of its own, so that the same function given twice is two.
    const entry: Stop = (signal) => stop(signal);
    if (this.stops.size === 0 && !this.stopping)
      for (const signal of signals) process.on(signal, this.handle);
    this.stops.add(entry);
    return () => {
      if (this.stops.delete(entry) && this.stops.size === 0 && !this.stopping) this.deafen();
    };
  }

  private readonly handle = (signal: NodeJS.Signals): void => {
    if (this.stopping) {
      this.end(signal);
      return;
    }
    this.stopping = true;
    const ends = [...this.stops].map((stop) => stop(signal));
    Promise.allSettled(ends).then(
      () => this.end(signal),
      () => this.end(signal),
    );
  };

  private end(signal: NodeJS.Signals): void {
    this.stopping = false;
    this.stops.clear();
    this.deafen();
    raiseSignal(signal);
  }

  private deafen(): void {
    for (const signal of signals) process.off(signal, this.handle);
  }
}

const slot = Symbol.for('keelson.termination.v1');
const home = globalThis as { [slot]?: Termination };

/**
 * Runs a function at the first SIGTERM or SIGINT. When all functions of this process are done, the signal is raised
 * again, so that the process ends as it would have without us, or goes on if somebody else handles the signal, who then
 * hears it twice: libraries that restore a terminal or a file kill the process only as the last to listen. A second signal
 * ends it at once.
 *
 * @returns what takes the function away, and the handlers with the last one
 */
export function onTermination(stop: Stop): () => void {
  home[slot] ??= new Termination();
  return home[slot].add(stop);
}
