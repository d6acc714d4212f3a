import { exitCodeOf } from '../stack/raise-signal.js';

const signals = ['SIGINT', 'SIGTERM'] as const;

/**
 * Waits for a signal that asks the process to end. The next one ends it at once, however far it has come.
 *
 * @returns the signal's name
 */
export function interrupted(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of signals) {
      process.on(signal, () => {
        if (asked) process.exit(exitCodeOf(signal));
        asked = true;
        resolve(signal);
      });
    }
  });
}
