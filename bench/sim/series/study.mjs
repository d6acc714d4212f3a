import { markdown } from '../../table.mjs';
import { outageSeries } from './outages.mjs';
import { stepSeries } from './steps.mjs';

/** @param {readonly number[]} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Limiters and breakers over time, for pictures: what a table says of a whole phase, bin by bin.
 *
 * @type {import('../studies.mjs').Study}
 */
export async function series({ quick, seed, tell }) {
  tell('series: steps');
  const steps = stepSeries({ seed, quick });
  tell('series: outages');
  const outages = outageSeries({ seed, quick });
  const text = [
    ...steps.map(({ id, binMs, stepMs: [from = 0, until = 0], lines }) =>
      markdown(
        [`${id}: good work`, 'before', 'within', 'after'],
        lines.map(({ name, values }) => [
          name,
          ...[values.slice(0, from / binMs), values.slice(from / binMs, until / binMs)].map((part) =>
            mean(part).toFixed(3),
          ),
          mean(values.slice(until / binMs)).toFixed(3),
        ]),
      ),
    ),
    ...outages.map(({ id, lines }) =>
      markdown(
        [`${id}: per second`, 'sent', 'succeeded'],
        lines.map(({ name, sent, succeeded }) => [name, mean(sent).toFixed(1), mean(succeeded).toFixed(1)]),
      ),
    ),
  ].join('\n\n');
  return { text, json: { steps, outages } };
}
