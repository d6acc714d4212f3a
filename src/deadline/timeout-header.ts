/**
 * The header that carries the time a caller has left, over HTTP: whole milliseconds from the moment of sending, one to
 * ten digits. `0` says that none is left.
 */
export const timeoutHeader = 'x-keelson-timeout-ms';

const longestMs = 9_999_999_999;
const grammar = /^\d{1,10}$/;

// Calls with one timeout have the same whole milliseconds left, nearly all of them; a number is dear to write.
let writtenMs = 0;
let written = '0';

/** Rounded down, so that a callee never believes to have longer than its caller waits; but what is left is never `0`. */
export function formatTimeoutMs(leftMs: number): string {
  if (!(leftMs > 0)) return '0';
  const wholeMs = Math.min(longestMs, Math.max(1, Math.floor(leftMs)));
  if (wholeMs !== writtenMs) {
    writtenMs = wholeMs;
    written = String(wholeMs);
  }
  return written;
}

/** @returns milliseconds, or `undefined` if that is no such value */
export function parseTimeoutMs(value: string): number | undefined {
  return grammar.test(value) ? Number(value) : undefined;
}
