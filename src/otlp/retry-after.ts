/** A collector that says how long to stay away is believed up to here; milliseconds. */
export const mostAwayMs = 300_000;

/**
 * Reads a `Retry-After` header: seconds or a date, which is taken relative to the answer's own `Date`, so that clocks which
 * disagree do no harm.
 *
 * @returns milliseconds; `undefined` for what is neither
 *
 * Source: RFC 9110, 10.2.3.
 */
export function retryAfterMs(
  value: string | undefined,
  date: string | undefined,
  wallMs: number,
): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d{1,15}(\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  // `Date.parse` takes almost anything; a date of HTTP begins with a weekday.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return undefined;
  const sent = Date.parse(date ?? '');
  const waitMs = Date.parse(text) - (Number.isNaN(sent) ? wallMs : sent);
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}
