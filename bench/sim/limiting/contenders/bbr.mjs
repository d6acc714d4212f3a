import { allOf } from 'keelson/core';
import { bbr } from 'keelson/limiter';
import { backlogMeter, backlogSignal, loadSignal } from 'keelson/limiter/load';
import { backlogHostOf } from '../platform.mjs';
import { gated } from './gated.mjs';

/** The shipped `bbr()` under `loadSignal()`, both with their defaults. @type {import('../run.mjs').Contender} */
export const bbrUnderLoad = {
  id: 'bbr-load-signal',
  name: 'bbr under loadSignal',
  make({ clock, host }) {
    const load = loadSignal({ clock, host });
    load.start();
    return gated(bbr({ load }));
  },
};

/**
 * The shipped `bbr()` under the shipped `backlogSignal()`, all with their defaults, as a server of an app has them.
 *
 * @type {import('../run.mjs').Contender}
 */
export const bbrUnderBacklog = {
  id: 'bbr',
  name: 'bbr',
  make({ thread }) {
    const meter = backlogMeter({ host: backlogHostOf(thread) });
    meter.start();
    const limiter = meter.watch(bbr({ load: backlogSignal(meter) }));
    return { ...gated(allOf([meter.gate, limiter])), admitRatio: (now) => meter.snapshot(now).admitRatio };
  },
};
