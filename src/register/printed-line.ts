const nothing = (): void => undefined;

/**
 * Writes to standard output; resolves when it is written, or cannot be. As with `console.log`, whoever read it may be gone.
 */
export function printed(text: string): Promise<void> {
  const { stdout } = process;
  return new Promise((resolve) => {
    stdout.once('error', nothing);
    stdout.write(`${text}\n`, (error) => {
      // The stream tells of it after this.
      if (error != null && stdout.listenerCount('error') === 0) stdout.once('error', nothing);
      resolve();
    });
    stdout.off('error', nothing);
  });
}
