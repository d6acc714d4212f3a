/**
 * Looks after what a callback returned that should return nothing: of an `async` one, what it rejects with would end the
 * process.
 */
export function lookAfter(returned: unknown, failed: (fault: unknown) => void): void {
  if (typeof (returned as { then?: unknown } | undefined)?.then !== 'function') return;
  Promise.resolve(returned).catch(failed);
}
