import { dead, flaky, hanging, inTurn, limited, shedding } from './callees.mjs';

/** @typedef {import('./play.mjs').Callee} Callee */

/**
 * A callee through some time, and who calls it.
 *
 * @typedef {object} Shape
 * @property {string} name
 * @property {number} perSecond of all clients together
 * @property {number} seconds
 * @property {number} [clients] 1 when left out; each has a breaker of its own
 * @property {() => Callee} callee a fresh one
 * @property {(now: number) => number} [demand] what part of the calls is made, by the time
 * @property {readonly [fromMs: number, toMs: number]} [counts] what of it is looked at; all of it when left out
 */

const well = flaky(0.01);
const s = 1000;

/** Up to ten seconds and from thirty on all is well. */
export const outage = inTurn([
  [10 * s, well],
  [30 * s, dead],
  [Number.POSITIVE_INFINITY, well],
]);

/** From ten seconds on three of ten calls fail. */
export const brownOut = inTurn([
  [10 * s, well],
  [Number.POSITIVE_INFINITY, flaky(0.3)],
]);

/** The callee comes back with half of its capacity. @param {number} perSecond that is asked of it */
export const halfBack = (perSecond) =>
  inTurn([
    [10 * s, well],
    [30 * s, dead],
    [Number.POSITIVE_INFINITY, limited(perSecond / 2, { tells: true })],
  ]);

/** Every other two seconds it is down. @type {Callee} */
const flapping = (now, fate) => (Math.floor(now / (2 * s)) % 2 === 0 ? well : dead)(now, fate);

/** Serves one after the other and turns nobody away; who waits for half a second has given up. @param {number} perSecond */
function patient(perSecond) {
  let freeAt = 0;
  return /** @type {Callee} */ (
    (now) => {
      freeAt = Math.max(freeAt, now) + 1000 / perSecond;
      const tookMs = freeAt - now;
      return tookMs > 500
        ? { outcome: 'failure', tookMs: 500, feedback: { timedOut: true } }
        : { outcome: 'success', tookMs };
    }
  );
}

/** What no constant was chosen by. @type {readonly Shape[]} */
export const keptBack = [
  { name: 'flapping, 2 s each', perSecond: 100, seconds: 60, callee: () => flapping },
  {
    name: 'hangs for 20 s, 1 s timeout',
    perSecond: 100,
    seconds: 40,
    callee: () =>
      inTurn([
        [10 * s, well],
        [30 * s, hanging(1000)],
        [Number.POSITIVE_INFINITY, well],
      ]),
  },
  { name: 'three of ten fail from the start', perSecond: 1000, seconds: 20, callee: () => flaky(0.3) },
  { name: 'half of the calls fail', perSecond: 100, seconds: 60, callee: () => flaky(0.5) },
  { name: 'seven of ten fail', perSecond: 100, seconds: 60, callee: () => flaky(0.7) },
  {
    name: 'ten times slower, no errors',
    perSecond: 100,
    seconds: 40,
    callee:
      () =>
      (now, { luck, workMs }) =>
        well(now, { luck, workMs: workMs * 10 }),
  },
  { name: 'outage at 1 rps', perSecond: 1, seconds: 60, callee: () => outage },
  {
    name: 'outage, bursts of 20 ms each 200',
    perSecond: 1000,
    seconds: 50,
    demand: (now) => (now % 200 < 20 ? 1 : 0),
    callee: () => outage,
  },
  { name: 'outage, 50 clients of 2 rps', perSecond: 100, seconds: 50, clients: 50, callee: () => outage },
  {
    name: 'half capacity, 50 clients of 10 rps',
    perSecond: 500,
    seconds: 60,
    clients: 50,
    callee: () => limited(250, { tells: true }),
    counts: [10 * s, 60 * s],
  },
  {
    name: 'half capacity at 10 rps',
    perSecond: 10,
    seconds: 120,
    callee: () => limited(5, { tells: true }),
    counts: [20 * s, 120 * s],
  },
  {
    name: 'a fifth of the capacity',
    perSecond: 500,
    seconds: 60,
    callee: () => limited(100, { tells: true }),
    counts: [10 * s, 60 * s],
  },
  {
    name: 'half capacity, says nothing',
    perSecond: 500,
    seconds: 60,
    callee: () => limited(250),
    counts: [10 * s, 60 * s],
  },
  {
    name: 'half capacity, fails the rest',
    perSecond: 500,
    seconds: 60,
    callee: () => limited(250, { fails: true }),
    counts: [10 * s, 60 * s],
  },
  {
    name: 'half capacity, queues for ever',
    perSecond: 500,
    seconds: 60,
    callee: () => patient(250),
    counts: [10 * s, 60 * s],
  },
  {
    name: 'sheds all for 20 s',
    perSecond: 100,
    seconds: 50,
    callee: () =>
      inTurn([
        [10 * s, well],
        [30 * s, shedding],
        [Number.POSITIVE_INFINITY, well],
      ]),
  },
  {
    name: 'one of six tenants is over its quota',
    perSecond: 500,
    seconds: 60,
    callee:
      () =>
      (_now, { luck, workMs }) =>
        luck < 1 / 6 ? { outcome: 'overload', tookMs: 1 } : { outcome: 'success', tookMs: workMs },
  },
];
