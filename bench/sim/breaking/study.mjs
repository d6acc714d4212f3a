import { markdown } from '../../table.mjs';
import { streams } from '../engine/streams.mjs';
import { besideEjection } from './beside-ejection.mjs';
import { breakers } from './breakers.mjs';
import { limited } from './callees.mjs';
import { byOperation } from './operations.mjs';
import { Record, simulate } from './play.mjs';
import { hour } from './play-hour.mjs';
import { brownOut, halfBack, keptBack, outage } from './shapes.mjs';
import { sheds } from './sheds.mjs';

/** @typedef {import('./shapes.mjs').Shape} Shape */
/** @typedef {import('./breakers.mjs').Make} Make */

const rates = [10, 100, 1000];
const s = 1000;

/** @param {readonly number[]} values */
const worst = (values) => Math.max(...values);
/** @param {readonly number[]} values */
const least = (values) => Math.min(...values);
/** @param {readonly number[]} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
/** @param {number} value @param {number} digits */
const fixed = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : 'never');

/** @param {Make} make @param {Shape} shape @param {number} seed */
function run(make, { clients = 1, callee, counts: _, name: __, ...play }, seed) {
  const stream = streams(seed);
  const gates = Array.from({ length: clients }, (_client, nth) => make(stream(`breaker ${nth}`)));
  return simulate({ ...play, gates, callee: callee(), seed });
}

/** The shapes that constants were chosen by. @param {Make} make @param {readonly number[]} seeds */
function chosenOn(make, seeds) {
  const outages = rates.map((perSecond) => {
    const shape = { name: 'outage', perSecond, seconds: 60, callee: () => outage };
    const runs = seeds.map((seed) => run(make, shape, seed));
    return {
      perSecond,
      wasted: worst(runs.map((record) => record.wasted(10 * s, 30 * s))),
      recoveryS: worst(runs.map((record) => record.recoveryMs(30 * s, 0.95) / s)),
    };
  });
  const overshoots = [100, 1000].map((perSecond) => {
    const shape = { name: 'half back', perSecond, seconds: 40, callee: () => halfBack(perSecond) };
    return worst(seeds.map((seed) => run(make, shape, seed).peakPerSecond(30 * s, 35 * s))) / (perSecond / 2);
  });
  const half = [100, 1000].map((perSecond) => {
    const callee = () => limited(perSecond / 2, { tells: true });
    const runs = seeds.map((seed) => run(make, { name: 'half', perSecond, seconds: 60, callee }, seed));
    const done = runs.map((record) => Record.sum(record.succeeded, 10 * s, 60 * s));
    return {
      wasted: worst(runs.map((record, nth) => record.wasted(10 * s, 60 * s) / (done[nth] ?? 0))),
      used: least(done.map((count) => count / 50 / (perSecond / 2))),
    };
  });
  const steady = [100, 1000].map((perSecond) => {
    const shape = { name: '30 %', perSecond, seconds: 60, callee: () => brownOut };
    const runs = seeds.map((seed) => run(make, shape, seed));
    return mean(
      runs.map((one) => Record.sum(one.sent, 10 * s, 60 * s) / Record.sum(one.offered, 10 * s, 60 * s)),
    );
  });
  return {
    outages,
    overshoot: worst(overshoots),
    halfWasted: worst(half.map(({ wasted }) => wasted)),
    halfUsed: least(half.map(({ used }) => used)),
    steadyPasses: least(steady),
  };
}

/** Refusals in an hour at one per cent of errors. @param {Make} make @param {readonly number[]} seeds @param {number} seconds */
function falseOpens(make, seeds, seconds) {
  const found = [5, 50, 1000].map((perSecond) =>
    worst(
      seeds.map(
        (seed) => hour(make(streams(seed)('breaker')), { perSecond, ratio: 0.01, seed, seconds }).refused,
      ),
    ),
  );
  return worst(found);
}

/** @param {Make} make @param {Shape} shape @param {readonly number[]} seeds */
function kept(make, shape, seeds) {
  const [from, to] = shape.counts ?? [0, shape.seconds * s];
  const runs = seeds.map((seed) => run(make, shape, seed));
  const served = mean(
    runs.map((one) => Record.sum(one.succeeded, from, to) / Record.sum(one.offered, from, to)),
  );
  const wasted = mean(runs.map((one) => one.wasted(from, to)));
  return { served, wasted, perServed: wasted / mean(runs.map((one) => Record.sum(one.succeeded, from, to))) };
}

/** @typedef {ReturnType<typeof sheds>[number]} Shed */

/** What is asked of a callee that turns away what is too much for it. @param {readonly Shed[]} scenes */
function shedGoals(scenes) {
  const ours = scenes.map(({ found, ...scene }) => ({ ...scene, ...found[0] }));
  const told = ours.filter(({ factor, telling }) => factor !== undefined && telling !== 'nothing');
  const open = worst(ours.map((one) => one.open ?? 0));
  return [...new Set(told.map(({ clients }) => clients))]
    .flatMap((clients) => {
      const here = told.filter((one) => one.clients === clients);
      const [used, wasted] = [
        least(here.map((one) => one.used ?? 0)),
        worst(here.map((one) => one.wasted ?? 0)),
      ];
      const of = `sheds, and says why, ${clients === 1 ? 'one client' : `${clients} clients`}`;
      return [
        {
          goal: `${of}: used >= 0.95 of what it does for those who send all`,
          found: used,
          met: used >= 0.95,
        },
        { goal: `${of}: wasted per accepted <= 0.3`, found: wasted, met: wasted <= 0.3 },
      ];
    })
    .concat({
      goal: 'sheds: open for no part of the time that any call is let in <= 0.02',
      found: open,
      met: open <= 0.02,
    });
}

/** @param {ReturnType<typeof chosenOn> & { falseOpens: number }} found */
function goals({ outages, overshoot, halfWasted, halfUsed, steadyPasses, falseOpens: refused }) {
  const wasted = worst(outages.map((one) => one.wasted));
  const recovery = worst(outages.map((one) => one.recoveryS));
  return [
    { goal: 'wasted in a 20 s outage at 10, 100, 1000 rps <= 60', found: wasted, met: wasted <= 60 },
    { goal: 'recovery to 95 % <= 3 s', found: recovery, met: recovery <= 3 },
    { goal: 'most in a second on the way back <= 1.2 x capacity', found: overshoot, met: overshoot <= 1.2 },
    { goal: 'refused in an hour at 1 % errors = 0', found: refused, met: refused === 0 },
    { goal: 'steady 30 % errors pass >= 0.99', found: steadyPasses, met: steadyPasses >= 0.99 },
    { goal: 'half capacity: wasted per accepted <= 0.1', found: halfWasted, met: halfWasted <= 0.1 },
    { goal: 'half capacity: used >= 0.98', found: halfUsed, met: halfUsed >= 0.98 },
  ];
}

/** Breakers through outages, brown-outs and overload. @type {import('../studies.mjs').Study} */
export async function breaking({ quick, seed, tell }) {
  const seeds = Array.from({ length: quick ? 2 : 5 }, (_, nth) => seed + nth);
  const names = quick ? ['evidence', 'sre', 'kratos SRE'] : Object.keys(breakers);
  const shapes = quick ? keptBack.filter(({ perSecond }) => perSecond <= 100) : keptBack;
  const made = names.map((name) => ({ name, make: /** @type {Make} */ (breakers[name]) }));

  const chosen = made.map(({ name, make }) => {
    tell(`breaking: ${name}`);
    // The scan of all its buckets at each call makes that one slow; an hour of it tells what ten minutes do.
    const seconds = quick || name === 'go-zero' ? 600 : 3600;
    const counted = name === 'evidence' ? seeds : seeds.slice(0, 1);
    return { name, ...chosenOn(make, seeds), falseOpens: falseOpens(make, counted, seconds) };
  });
  const table = markdown(
    [
      'breaker',
      ...rates.map((rate) => `wasted / back s @${rate}`),
      '30 % passes',
      'half: wasted, used',
      'way back x',
      'refused in 1 h @1 %',
    ],
    chosen.map((one) => [
      one.name,
      ...one.outages.map(({ wasted, recoveryS }) => `${wasted} / ${fixed(recoveryS, 1)}`),
      fixed(one.steadyPasses, 2),
      `${fixed(one.halfWasted, 2)}, ${fixed(one.halfUsed, 2)}`,
      fixed(one.overshoot, 2),
      String(one.falseOpens),
    ]),
  );
  const keptRows = shapes.map((shape) => {
    tell(`breaking: ${shape.name}`);
    return {
      name: shape.name,
      cells: made.map(({ name, make }) => ({ breaker: name, ...kept(make, shape, seeds) })),
    };
  });
  const keptTable = markdown(
    ['kept back: served share / wasted per served', ...names],
    keptRows.map(({ name, cells }) => [
      name,
      ...cells.map(({ served, perServed }) => `${fixed(served, 2)} / ${fixed(perServed, 2)}`),
    ]),
  );
  const operations = [1, 5, 8].flatMap((failing) => byOperation(failing, seed));
  const operationTable = markdown(
    ['of ten operations fail', 'breaker', 'others served', 'failing spared'],
    operations.map(({ failing, name, served, spared }) => [
      String(failing),
      name,
      fixed(served, 3),
      fixed(spared, 3),
    ]),
  );
  const sides = [
    { name: 'neither', ejects: false, breaks: false },
    { name: 'breakers alone', ejects: false, breaks: true },
    { name: 'ejection alone', ejects: true, breaks: false },
    { name: 'both', ejects: true, breaks: true },
  ].map(({ name, ...parts }) => ({ name, ...besideEjection(parts, seed) }));
  const sideTable = markdown(
    ['one of three endpoints is down for 20 s at 300 rps', 'failed', 'refused', 'its share is back, s'],
    sides.map(({ name, failed, refused, backS }) => [name, String(failed), String(refused), fixed(backS, 0)]),
  );
  const [ours] = chosen;
  if (ours === undefined) throw new Error('breaking: nothing was run');
  tell('breaking: sheds');
  const scenes = sheds({ seeds: seeds.slice(0, 3), quick });
  const shedTable = markdown(
    [
      'sheds: used / wasted per served / open',
      'clients',
      'tells',
      ...(scenes[0]?.found ?? []).map(({ name }) => name),
    ],
    scenes.map(({ factor, clients, telling, found }) => [
      factor === undefined ? 'what others leave' : `${factor} x`,
      String(clients),
      telling,
      ...found.map(({ used, wasted, open }) => `${fixed(used, 2)} / ${fixed(wasted, 2)} / ${fixed(open, 2)}`),
    ]),
  );
  const judged = [...goals(ours), ...shedGoals(scenes)];
  const goalTable = markdown(
    ['goal of evidence, on the shapes that its constants were chosen by', 'found', 'met'],
    judged.map(({ goal, found, met }) => [goal, fixed(found, 3), met ? 'yes' : 'NO']),
  );
  return {
    text: [
      `Worst of ${seeds.length} seeds (passes: mean). Half: a callee of half the capacity, which says what it lets in.`,
      table,
      goalTable,
      shedTable,
      `Mean of ${seeds.length} seeds. No constant was chosen by these.`,
      keptTable,
      operationTable,
      sideTable,
    ].join('\n\n'),
    json: {
      seeds,
      chosen,
      goals: judged,
      sheds: scenes,
      keptBack: keptRows,
      operations,
      besideEjection: sides,
    },
  };
}
