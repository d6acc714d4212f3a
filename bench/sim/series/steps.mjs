import { bbrUnderBacklog } from '../limiting/contenders/bbr.mjs';
import { dispatchQueue } from '../limiting/contenders/dispatch-queue.mjs';
import { fixed } from '../limiting/contenders/fixed.mjs';
import { kratos } from '../limiting/contenders/kratos.mjs';
import { none } from '../limiting/contenders/none.mjs';
import { gradients } from '../limiting/contenders/rtt.mjs';
import { underPressure } from '../limiting/contenders/under-pressure.mjs';
import { run } from '../limiting/run.mjs';
import { step } from '../limiting/scenarios/step.mjs';

/** Those of the table that stand for a way of doing it. */
const contenders = [
  dispatchQueue,
  bbrUnderBacklog,
  kratos('kratos BBR', { intervalMs: 500, keep: 0.95 }),
  gradients,
  underPressure(1000, 'cumulative'),
  fixed(20),
  none,
];
const binMs = 200;
const factor = 5;

/**
 * Good work as a part of what the thread can do, through a step to five times that and back.
 *
 * @param {{ seed: number, quick: boolean }} how
 */
export function stepSeries({ seed, quick }) {
  const lengths = quick ? { calmMs: 2000, hardMs: 3000 } : { calmMs: 8000, hardMs: 10_000 };
  const { calmMs, hardMs } = lengths;
  return /** @type {const} */ (['sync', 'async']).map((style) => {
    const scenario = step(style, factor, lengths);
    return {
      id: scenario.id,
      binMs,
      stepMs: [calmMs, calmMs + hardMs],
      limits: scenario.phases.map(({ load }) => scenario.limit(Number(load))),
      lines: contenders.map((contender) => {
        const { book } = run(scenario, contender, seed);
        const bins = Math.floor((2 * calmMs + hardMs) / binMs);
        return {
          name: contender.name,
          values: Array.from({ length: bins }, (_, bin) => book.goodput(bin * binMs, (bin + 1) * binMs)),
        };
      }),
    };
  });
}
