import { appQueue, Waiting } from './app-queue.mjs';

/**
 * The least that a queue in the process can do: refuse on arrival whoever would wait for more than the budget, as told by
 * the mean CPU time of the calls served so far. No priorities, no adaptation: what the shipped queue has to beat.
 *
 * @param {number} budgetMs @returns {import('../run.mjs').Contender}
 */
export const sojourn = (budgetMs) => ({
  id: `sojourn-${budgetMs}`,
  name: `bare queue, budget ${budgetMs} ms`,
  make({ thread }) {
    const waiting = new Waiting();
    let meanMs = 1;
    let ended = 0;
    let activeAt = 0;
    let open = 0;
    return appQueue(thread, {
      size: () => waiting.size,
      enter(call, now) {
        if (open * meanMs > budgetMs) return false;
        open++;
        waiting.push(call, now);
        return true;
      },
      next: () => waiting.first()?.call,
      ended() {
        open--;
        if (++ended % 10 > 0) return;
        // Active time per call answered, over the last ten calls, smoothed.
        const active = thread.activeMs;
        meanMs += 0.1 * ((active - activeAt) / 10 - meanMs);
        activeAt = active;
      },
    });
  },
});
