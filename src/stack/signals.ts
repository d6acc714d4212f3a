const signals = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs a function at the first SIGTERM or SIGINT and raises the signal again when it is done, so that the process
 * ends as it would have without us. A second signal ends at once.
 *
 * @returns what takes the handlers away
 */
export function onTermination(stop: (signal: NodeJS.Signals) => Promise<void>): () => void {
  let stopping = false;
  const remove = (): void => {
    for (const signal of signals) process.off(signal, handle);
  };
  const raise = (signal: NodeJS.Signals): void => {
    remove();
    process.kill(process.pid, signal);
  };
  const handle = (signal: NodeJS.Signals): void => {
    if (stopping) {
      raise(signal);
      return;
    }
    stopping = true;
    stop(signal).then(
      () => raise(signal),
      () => raise(signal),
    );
  };
  for (const signal of signals) process.on(signal, handle);
  return remove;
}
