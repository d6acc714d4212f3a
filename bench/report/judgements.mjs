import { ratioOver } from './overload-ratios.mjs';

/** @typedef {import('./figure.mjs').Source} Source */
/**
 * @typedef {object} Judgement
 * @property {string} id stays the same from run to run
 * @property {string} goalId the same for all that a goal is judged on
 * @property {string} part
 * @property {string} what
 * @property {string} on
 * @property {'holds' | 'falls short' | 'not judged'} verdict
 * @property {string} found
 */
/** @typedef {{ readonly goal: string, readonly what?: string, readonly on: string, readonly holds: boolean | undefined, readonly found: string }} Read */

/** @param {number | null} value */
const three = (value) => (value === null ? 'never' : String(Number(value.toPrecision(3))));

/** @param {any[]} verdicts @param {string} on @returns {Read[]} */
const found = (verdicts, on) =>
  verdicts.map((one) => ({ goal: one.goal, on, holds: one.met, found: three(one.found) }));

/** @param {any[]} verdicts @returns {Read[]} */
const by = (verdicts) =>
  verdicts.map((one) => ({ goal: one.goal, on: one.by, holds: one.holds, found: one.figures }));

const overloadGoals = [
  { other: 'none', least: 10, beside: 'no limiter' },
  { other: 'under-pressure', least: 1.5, beside: 'under-pressure' },
  { other: 'under-pressure.tuned', least: 1.5, beside: 'under-pressure, tuned' },
];
const mostRefusalUs = 15;

/** @param {any} overload @returns {Read[]} */
function overloadReads(overload) {
  const scenes = [...new Set(overload.legs.map((/** @type {any} */ leg) => leg.scene))].map(String);
  const ratios = scenes.flatMap((scene) =>
    [2, 5].flatMap((factor) =>
      overloadGoals.flatMap(({ other, least, beside }) => {
        if (!overload.legs.some((/** @type {any} */ leg) => leg.scene === scene && leg.contender === other))
          return [];
        const ratio = ratioOver(overload, { scene, other, factor });
        const holds = Number.isNaN(ratio) ? undefined : ratio >= least;
        return [
          {
            goal: `in time for each second of CPU, at least ${least} times ${beside}`,
            on: `${scene}, ${factor}×`,
            holds,
            found: holds === undefined ? 'most rounds were disturbed' : `${three(ratio)} times`,
          },
        ];
      }),
    ),
  );
  const early = overload.rejectCost?.find((/** @type {any} */ cost) => cost.id === 'early');
  if (early === undefined) return ratios;
  const refusal = {
    goal: `reading and refusing over HTTP/1 takes at most ${mostRefusalUs} µs of CPU`,
    on: 'keelson',
    holds: early.us <= mostRefusalUs,
    found: `${three(early.us)} µs`,
  };
  return [...ratios, refusal];
}

/** How each part tells what it was meant to do. @type {Readonly<Record<string, (data: any) => Read[]>>} */
const readers = {
  balancing: ({ verdicts = [] }) =>
    verdicts.map((/** @type {any} */ one) => ({ ...one, found: one.figures })),
  limiting: ({ goals = [] }) =>
    goals.map((/** @type {any} */ one) => ({
      goal: one.goal,
      what: `${one.goal} ${one.wanted}`,
      on: one.contender,
      holds: one.met,
      found: `${one.worst} in ${one.where}`,
    })),
  breaking: ({ goals = [] }) => found(goals, 'evidence'),
  retrying: ({ goals = [] }) => found(goals, 'keelson'),
  overload: overloadReads,
  adapters: ({ goals = [] }) => by(goals),
  cost: ({ goals = [] }) => by(goals),
  overhead: ({ goals = [] }) => by(goals),
};

/** What holds and what does not. A quick run is no judge. @param {ReadonlyMap<string, Source>} sources @returns {Judgement[]} */
export function judgementsOf(sources) {
  return Object.entries(readers).flatMap(([part, read]) => {
    const source = sources.get(part);
    if (source === undefined) return [];
    return read(source.data).map(({ goal, what = goal, on, holds, found }) => ({
      id: `${part}: ${goal} (${on})`,
      goalId: `${part}: ${goal}`,
      part,
      what,
      on,
      verdict: holds === undefined || source.about.quick ? 'not judged' : holds ? 'holds' : 'falls short',
      found,
    }));
  });
}
