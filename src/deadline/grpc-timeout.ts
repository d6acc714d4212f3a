/** Milliseconds per unit, finest first: hours are `H`, minutes `M`, seconds `S`, then `m`, `u`, `n`. */
const units = { n: 1e-6, u: 1e-3, m: 1, S: 1000, M: 60_000, H: 3_600_000 } as const;
const grammar = /^(\d{1,8})([numSMH])$/;
const largest = 99_999_999;

/**
 * Writes a `grpc-timeout` value: whole milliseconds as long as they fit into eight digits (27 hours), whole microseconds
 * below one millisecond, else the finest coarser unit that fits. Rounded down, so that a callee never believes to have
 * longer than its caller waits; but what is left is never `0`.
 *
 * Source: gRPC over HTTP/2, "Requests", Timeout. grpc-go rounds up.
 *
 * @param leftMs - 0 or less for no time left
 */
export function formatGrpcTimeout(leftMs: number): string {
  if (!(leftMs > 0)) return '0n';
  if (leftMs < 1) return `${Math.max(1, Math.floor(leftMs * 1000))}u`;
  for (const unit of ['m', 'S', 'M'] as const) {
    const value = Math.floor(leftMs / units[unit]);
    if (value <= largest) return `${value}${unit}`;
  }
  return `${Math.min(largest, Math.floor(leftMs / units.H))}H`;
}

/**
 * Reads a `grpc-timeout` value: one to eight digits and a unit, nothing else. Zero, which the grammar excludes and
 * grpc-go sends when no time is left, is read as what it says.
 *
 * @returns milliseconds, or `undefined` if that is no such value
 */
export function parseGrpcTimeout(value: string): number | undefined {
  const [, digits, unit] = grammar.exec(value) ?? [];
  return unit === undefined ? undefined : Number(digits) * units[unit as keyof typeof units];
}
