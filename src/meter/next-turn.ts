/** What browsers do not have. */
interface Immediate {
  readonly setImmediate?: (run: () => void) => unknown;
}

/** Waits until whatever waits for the thread has had it. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { setImmediate } = globalThis as Immediate;
    if (setImmediate === undefined) globalThis.setTimeout(resolve, 0);
    else setImmediate(resolve);
  });
}
