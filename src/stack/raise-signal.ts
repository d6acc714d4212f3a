import { constants } from 'node:os';
import { lastWords } from '../otel/at-exit.js';

interface Counting {
  readonly count?: unknown;
}

/** Where signal-exit keeps the number of its listeners: version 3, and since version 4. */
function cleaners(): number {
  const third = (process as { readonly __signal_exit_emitter__?: Counting }).__signal_exit_emitter__;
  const fourth = (globalThis as { readonly [name: symbol]: Counting | undefined })[
    Symbol.for('signal-exit emitter')
  ];
  return [third, fourth].reduce((sum, of) => sum + (typeof of?.count === 'number' ? of.count : 0), 0);
}

/**
 * How many listeners a signal has that do something about it. Those of signal-exit, on which libraries rely that have a
 * terminal or a file to restore, do nothing unless they are the last, and then end the process.
 */
export function listenersOf(signal: NodeJS.Signals): number {
  return Math.max(0, process.listenerCount(signal) - cleaners());
}

/** With what code a process ends that a signal ends, as shells tell it. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/**
 * Raises a signal again, once what had to be done before is done and we listen no more: the process ends as it would have
 * without us, unless somebody else handles the signal. What did not get ready for that is saved, or counted as lost.
 */
export function raiseSignal(signal: NodeJS.Signals): void {
  if (listenersOf(signal) === 0) {
    lastWords();
    // The first process of a container is not ended by the default action of a signal.
    if (process.pid === 1) process.exit(exitCodeOf(signal));
  }
  process.kill(process.pid, signal);
}
