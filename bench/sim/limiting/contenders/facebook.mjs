import { appQueue, Waiting } from './app-queue.mjs';

const shortMs = 5;
const longMs = 100;

/**
 * Calls may wait for 100 ms, and for 5 ms if the queue has not been empty for 100 ms; with LIFO, the last come is served
 * first while it has not.
 *
 * Source: Maurer, "Fail at Scale", ACM Queue 13(8), 2015 ("Controlled Delay", "Adaptive LIFO"), constants as there.
 *
 * @param {boolean} lifo @returns {import('../run.mjs').Contender}
 */
export const facebook = (lifo) => ({
  id: lifo ? 'facebook-lifo' : 'facebook',
  name: `queue timeout 5/100 ms, ${lifo ? 'adaptive LIFO' : 'FIFO'} (app queue)`,
  make({ thread }) {
    const waiting = new Waiting();
    let emptyAt = 0;
    const standing = (/** @type {number} */ now) => emptyAt < now - longMs;
    return appQueue(thread, {
      size: () => waiting.size,
      enter(call, now) {
        if (waiting.size === 0) emptyAt = now;
        call.mark = now + (standing(now) ? shortMs : longMs);
        waiting.push(call, now);
        return true;
      },
      next(now) {
        const item = lifo && standing(now) ? waiting.last() : waiting.first();
        if (waiting.size === 0) emptyAt = now;
        if (item !== undefined && now > item.call.mark) item.call.drop();
        return item?.call;
      },
    });
  },
});
