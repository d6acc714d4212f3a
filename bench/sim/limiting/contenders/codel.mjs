import { appQueue, Waiting } from './app-queue.mjs';

const targetMs = 5;
const intervalMs = 100;

/**
 * Drops at the head of the queue, ever more often while the time in the queue stays above 5 ms: made for senders that
 * slow down when something is dropped, which calls of a flood do not.
 *
 * Source: RFC 8289, "Controlled Delay Active Queue Management", section 5, with its constants.
 *
 * @type {import('../run.mjs').Contender}
 */
export const codel = {
  id: 'codel',
  name: 'CoDel, FIFO (app queue)',
  make({ thread }) {
    const waiting = new Waiting();
    let firstAbove = 0;
    let dropNext = 0;
    let count = 0;
    let lastCount = 0;
    let dropping = false;

    const law = (/** @type {number} */ at) => at + intervalMs / Math.sqrt(count);
    /** @param {number} now */
    const take = (now) => {
      const item = waiting.first();
      if (item === undefined) {
        firstAbove = 0;
        return { item, mayDrop: false };
      }
      // A queue of one is no standing queue, however long that one has waited.
      if (now - item.since < targetMs || waiting.size === 0) {
        firstAbove = 0;
        return { item, mayDrop: false };
      }
      if (firstAbove === 0) firstAbove = now + intervalMs;
      return { item, mayDrop: firstAbove < now + intervalMs && now >= firstAbove };
    };
    return appQueue(thread, {
      size: () => waiting.size,
      enter(call, now) {
        waiting.push(call, now);
        return true;
      },
      next(now) {
        const { item, mayDrop } = take(now);
        if (item === undefined) {
          dropping = false;
          return undefined;
        }
        if (dropping) {
          if (!mayDrop) dropping = false;
          else if (now >= dropNext) {
            count++;
            dropNext = law(dropNext);
            item.call.drop();
          }
        } else if (mayDrop) {
          item.call.drop();
          dropping = true;
          const delta = count - lastCount;
          count = delta > 1 && now - dropNext < 16 * intervalMs ? delta : 1;
          dropNext = law(now);
          lastCount = count;
        }
        return item.call;
      },
    });
  },
};
