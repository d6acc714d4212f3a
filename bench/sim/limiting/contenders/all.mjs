import { bbrUnderBacklog, bbrUnderLoad } from './bbr.mjs';
import { codel } from './codel.mjs';
import { dagor } from './dagor.mjs';
import { dispatchQueue } from './dispatch-queue.mjs';
import { facebook } from './facebook.mjs';
import { fixed } from './fixed.mjs';
import { goZero } from './go-zero.mjs';
import { kratos } from './kratos.mjs';
import { none } from './none.mjs';
import { gradients, vegases } from './rtt.mjs';
import { sojourn } from './sojourn.mjs';
import { underPressure } from './under-pressure.mjs';

/** Who competes, in the order of the tables. @type {readonly import('../run.mjs').Contender[]} */
export const contenders = [
  none,
  fixed(20),
  fixed(100),
  underPressure(1000, 'cumulative'),
  underPressure(100, 'interval'),
  kratos('kratos BBR', { intervalMs: 500, keep: 0.95 }),
  kratos('kratos BBR, CPU .9/250 ms', { intervalMs: 250, keep: 0.9 }),
  kratos('kratos BBR, CPU .5/100 ms', { intervalMs: 100, keep: 0.5 }),
  goZero,
  codel,
  facebook(false),
  facebook(true),
  dagor,
  gradients,
  vegases,
  bbrUnderLoad,
  bbrUnderBacklog,
  sojourn(40),
  dispatchQueue,
];

/** Those that the goals are held against. */
export const judgedContenders = [bbrUnderBacklog.id, dispatchQueue.id];
