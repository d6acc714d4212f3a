/** Longest time to stay away that a server is believed; milliseconds. */
export const retryAfterCapMs = 60_000;

/**
 * Reads a `Retry-After` header: whole seconds or a date.
 *
 * A date is taken relative to the response's own `Date`, so that clocks which disagree do no harm. The cap keeps a
 * server's mistake, or its malice, from taking an endpoint away for good.
 *
 * @param value - the header
 * @param date - the `Date` header of the same response, if it has one
 * @param wallMs - what time it is here, in milliseconds since 1970; asked only for a date without a `Date`
 * @returns milliseconds, 0 to {@link retryAfterCapMs}; `undefined` for what is neither
 *
 * Source: RFC 9110, 10.2.3.
 */
export function parseRetryAfter(
  value: string | null,
  date: string | null,
  wallMs: () => number,
): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  // Also takes fractions, which some servers send against the RFC.
  if (/^\d{1,15}(\.\d{1,9})?$/.test(text)) return Math.min(Number(text) * 1000, retryAfterCapMs);
  // `Date.parse` takes almost anything; a date of HTTP begins with a weekday.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return undefined;
  const until = Date.parse(text);
  const sent = date === null ? Number.NaN : Date.parse(date);
  const waitMs = until - (Number.isNaN(sent) ? wallMs() : sent);
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), retryAfterCapMs);
}
