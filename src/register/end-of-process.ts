import { listenersOf, raiseSignal } from '../stack/raise-signal.js';

const signals = ['SIGTERM', 'SIGINT'] as const;

/** What is to be done at the end of a process. Both have limits of their own. */
export interface LastThings {
  /** The process goes on for a while: somebody else hears the signal and ends it in order. */
  flush(): Promise<void>;
  /** The process ends with this. */
  shutdown(): Promise<void>;
}

class AtSignals {
  private ending = false;
  private over = false;
  /**
   * Signals that others have heard since all that had gathered had left. One that nobody else hears, after one that somebody did,
   * may come from them, when their work is done: what they recorded leaves before. After two it is asked for in earnest.
   */
  private heard = 0;

  constructor(private readonly last: LastThings) {
    for (const signal of signals) this.listen(signal);
  }

  remove(): void {
    this.over = true;
    for (const signal of signals) process.off(signal, this.handle);
  }

  /** Before all others: one of them that listens once is gone after its turn, and would not be counted. */
  private listen(signal: NodeJS.Signals): void {
    if (!this.over) process.prependListener(signal, this.handle);
  }

  private readonly handle = (signal: NodeJS.Signals): void => {
    // Of the listeners one is this.
    if (listenersOf(signal) > 1) this.leaveTo(signal);
    // Asked for again, it ends at once, as it would without us.
    else if (this.ending || this.heard > 1) this.raise(signal);
    else this.end(signal);
  };

  /** For the turn in which the others hear it this is no listener: some end the process only if they are the last. */
  private leaveTo(signal: NodeJS.Signals): void {
    process.off(signal, this.handle);
    setImmediate(() => this.listen(signal));
    this.heard++;
    const left = (): void => {
      this.heard = 0;
    };
    this.last.flush().then(left, left);
  }

  private end(signal: NodeJS.Signals): void {
    this.ending = true;
    const raise = (): void => this.raise(signal);
    this.last.shutdown().then(raise, raise);
  }

  private raise(signal: NodeJS.Signals): void {
    this.remove();
    raiseSignal(signal);
  }
}

/**
 * Has what was recorded leave at SIGTERM and SIGINT. A program that hears neither would end at once and lose it: here it ends a
 * moment later, by the same signal. One that hears them itself ends when it wants to: then what has gathered leaves, and
 * what comes until the end leaves by and by.
 *
 * @returns what takes it away
 */
export function atSignals(last: LastThings): () => void {
  const listening = new AtSignals(last);
  return () => listening.remove();
}
