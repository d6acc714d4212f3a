import { breakers } from '../breaking/breakers.mjs';
import { Record, simulate } from '../breaking/play.mjs';
import { halfBack, outage } from '../breaking/shapes.mjs';
import { streams } from '../engine/streams.mjs';

const names = ['evidence', 'sre', 'kratos SRE', 'Google SRE', 'go-zero', 'opossum', 'cockatiel'];
const fromMs = 5000;
const binMs = 500;
const downMs = [10_000, 30_000];

const shapes = [
  { id: 'outage', callee: () => outage },
  { id: 'half back', callee: halfBack },
];

/**
 * What is sent to a callee that is down for 20 s and comes back, whole or with half of its capacity, and what of it
 * succeeds; per second.
 *
 * @param {{ seed: number, quick: boolean }} how
 */
export function outageSeries({ seed, quick }) {
  const perSecond = quick ? 100 : 1000;
  const seconds = 60;
  const bins = (seconds * 1000 - fromMs) / binMs;
  return shapes.map(({ id, callee }) => ({
    id,
    perSecond,
    fromMs,
    binMs,
    downMs,
    lines: names.map((name) => {
      const make = breakers[name];
      if (make === undefined) throw new RangeError(`series: there is no breaker ${name}`);
      const gates = [make(streams(seed)('breaker 0'))];
      const record = simulate({ gates, perSecond, seconds, callee: callee(perSecond), seed });
      /** @param {Float64Array} counts */
      const rates = (counts) =>
        Array.from({ length: bins }, (_, bin) => {
          const at = fromMs + bin * binMs;
          return (Record.sum(counts, at, at + binMs) * 1000) / binMs;
        });
      return { name, sent: rates(record.sent), succeeded: rates(record.succeeded) };
    }),
  }));
}
