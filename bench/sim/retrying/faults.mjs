/** @typedef {import('./tiers.mjs').Fault} Fault */

/** @typedef {{ readonly name: string, readonly fault: Fault, readonly perSecond: number, readonly seconds: number, readonly fromMs?: number }} Trouble */

const goodMs = 10_000;
const bottom = 2;

/** Everything at the bottom is down, after a good time in which budgets fill. @type {Fault} */
const outage = ({ tier }, now) => tier === bottom && now >= goodMs;
/** One of the three services there is. @type {Fault} */
const partial = ({ tier, service }, now) => tier === bottom && service === 0 && now >= goodMs;
/** @param {number} ratio @returns {Fault} */
const transient = (ratio) => (place, _now, luck) => place.tier === bottom && luck() < ratio;
/** @type {Fault} */
const everywhere = (_place, _now, luck) => luck() < 0.02;

/** By these the budget was chosen. @type {readonly Trouble[]} */
export const chosenOn = [
  { name: 'all down', fault: outage, perSecond: 300, seconds: 40, fromMs: goodMs },
  { name: 'all down from the start', fault: ({ tier }) => tier === bottom, perSecond: 300, seconds: 30 },
  { name: '5 % fail by chance', fault: transient(0.05), perSecond: 300, seconds: 30 },
];

/** And not by these. @type {readonly Trouble[]} */
export const keptBack = [
  { name: 'a third down', fault: partial, perSecond: 300, seconds: 40, fromMs: goodMs },
  { name: '2 % fail in each tier', fault: everywhere, perSecond: 300, seconds: 30 },
  { name: '20 % fail by chance', fault: transient(0.2), perSecond: 300, seconds: 30 },
  { name: '5 % fail, 15 rps', fault: transient(0.05), perSecond: 15, seconds: 200 },
  { name: 'all down, 15 rps', fault: outage, perSecond: 15, seconds: 70, fromMs: goodMs },
  {
    name: 'the tier in the middle is down',
    fault: ({ tier }, now) => tier === 1 && now >= goodMs,
    perSecond: 300,
    seconds: 40,
    fromMs: goodMs,
  },
];
