import fc from 'fast-check';
import { carrier } from 'keelson/core';
import {
  formatGrpcTimeout,
  formatTimeoutMs,
  inboundTimeoutMs,
  parseGrpcTimeout,
  parseTimeoutMs,
  timeoutHeader,
} from 'keelson/deadline';
import { describe, expect, it } from 'vitest';

/** From a microsecond to longer than any caller waits. */
const durations = fc.oneof(
  fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
  fc.double({ min: 1e3, max: 3e14, noNaN: true }),
);

/** The coarsest step between two values that can be written, as a share of the value. */
const steps = 1e-4;

describe('timeouts on the wire', () => {
  it('grpc-timeout: whole milliseconds come back as they were', () => {
    fc.assert(fc.property(fc.nat(99_999_999), (ms) => parseGrpcTimeout(formatGrpcTimeout(ms)) === ms));
  });

  it('grpc-timeout: whatever is written comes back as it was written', () => {
    fc.assert(
      fc.property(fc.nat(99_999_999), fc.constantFrom('n', 'u', 'm', 'S', 'M', 'H'), (digits, unit) => {
        const ms = parseGrpcTimeout(`${digits}${unit}`);
        const scale = { n: 1e6, u: 1e3, m: 1, S: 1e-3, M: 1 / 60_000, H: 1 / 3_600_000 }[unit] ?? 0;
        expect(Number(ms) * scale).toBeCloseTo(digits, 4);
      }),
    );
  });

  it('grpc-timeout: never longer than what is left, and close to it', () => {
    fc.assert(
      fc.property(durations, (ms) => {
        const told = Number(parseGrpcTimeout(formatGrpcTimeout(ms)));
        expect(told).toBeLessThanOrEqual(ms * (1 + 1e-12));
        // Rounded down by less than a unit, and each unit is used for less than that share of a value, or for 1 ms.
        expect(told).toBeGreaterThan(ms < 1 ? ms - 1.001e-3 : Math.min(ms - 1, ms * (1 - steps)) - 1e-9);
      }),
    );
  });

  it('grpc-timeout: what came back is written the same again', () => {
    fc.assert(
      fc.property(durations, (ms) => {
        const once = formatGrpcTimeout(Math.floor(ms) + 1);
        expect(formatGrpcTimeout(Number(parseGrpcTimeout(once)))).toBe(once);
      }),
    );
  });

  it('ours: whole milliseconds come back as they were, others rounded down', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9_999_999_999 }),
        (ms) => parseTimeoutMs(formatTimeoutMs(ms)) === ms,
      ),
    );
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        (ms) => parseTimeoutMs(formatTimeoutMs(ms)) === Math.floor(ms),
      ),
    );
  });

  it('any string is a time or nothing, and never throws', () => {
    const nearly = fc.stringMatching(/^[-+ ]?[0-9]{0,12}[.e]?[0-9]?[HMSmunx]?[ ,]?$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), nearly), (text) => {
        for (const ms of [parseGrpcTimeout(text), parseTimeoutMs(text)])
          if (ms !== undefined) expect(ms >= 0 && Number.isFinite(ms)).toBe(true);
        const headers = { [timeoutHeader]: text, 'grpc-timeout': text, 'x1-bmspy-timeout': text };
        const told = inboundTimeoutMs(carrier(headers));
        expect(told === Number.POSITIVE_INFINITY || (told >= 0 && told <= 86_400_000)).toBe(true);
      }),
    );
  });

  it('any number can be written', () => {
    fc.assert(
      fc.property(fc.double(), (ms) => {
        expect(formatGrpcTimeout(ms)).toMatch(/^\d{1,8}[HMSmun]$/);
        expect(formatTimeoutMs(ms)).toMatch(/^\d{1,10}$/);
      }),
    );
  });
});
