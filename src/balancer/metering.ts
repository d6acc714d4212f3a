import { wrongKind } from '../core/options.js';
import { isUncalled } from '../core/uncalled.js';
import type { LoadMeter, Metering } from './meter.js';

const what = 'a function that makes the meter of an endpoint, such as peakEwma() makes';

function isMeter(made: Partial<LoadMeter> | null | undefined): boolean {
  return typeof made?.load === 'function' && typeof made.answer === 'function';
}

/**
 * Sees to it that a function of the user's makes meters, which shows only when the first endpoint joins: a factory that was not
 * called is a function too.
 *
 * @param field - name of the option, for messages: `p2c.meter`
 * @throws TypeError for what is no function; what is returned throws one where no meter is made
 */
export function checkedMetering(field: string, meter: Metering): Metering {
  if (typeof meter !== 'function') throw wrongKind(field, what, meter);
  return (endpoint, now) => {
    let made: LoadMeter;
    try {
      made = meter(endpoint, now);
    } catch (thrown) {
      throw isUncalled(meter, thrown) ? wrongKind(field, what, meter) : thrown;
    }
    if (!isMeter(made)) throw wrongKind(field, what, meter);
    return made;
  };
}
