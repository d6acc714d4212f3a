import { appQueue, Waiting } from './app-queue.mjs';

const users = 128;
const levels = 2 * users;
const windowMs = 1000;
const windowCalls = 2000;
const overloadMs = 20;
const down = 0.05;
const up = 0.01;

/**
 * Admits calls up to a level of business and user priority, and moves the level once per window so that 5 % fewer of the
 * admitted, or 1 % more of the incoming, would have passed. Here high priority is the better business priority, and the
 * user is drawn at random. Simplified: no upstream that drops for us by the level piggybacked to it.
 *
 * Source: Zhou et al., "Overload Control for Scaling WeChat Microservices", SoCC 2018 (arXiv 1806.04075), 4.2 and
 * algorithm 1; mean queueing time above 20 ms per 1 s or 2000 calls.
 *
 * @type {import('../run.mjs').Contender}
 */
export const dagor = {
  id: 'dagor',
  name: 'DAGOR, one server (app queue)',
  make({ thread, random }) {
    const draw = random('users');
    const waiting = new Waiting();
    const histogram = new Float64Array(levels);
    let level = levels - 1;
    let incoming = 0;
    let admitted = 0;
    let waited = 0;
    let started = 0;
    let windowEnd = windowMs;

    const adjust = () => {
      const overloaded = started > 0 && waited / started > overloadMs;
      // Counted over the histogram of this window from where the level is.
      let would = admitted;
      const goal = overloaded ? (1 - down) * admitted : admitted + up * incoming;
      if (overloaded) while (would > goal && level > 0) would -= histogram[level--] ?? 0;
      else while (would < goal && level < levels - 1) would += histogram[++level] ?? 0;
      histogram.fill(0);
      incoming = admitted = waited = started = 0;
    };
    return appQueue(thread, {
      size: () => waiting.size,
      enter(call, now) {
        if (now >= windowEnd || incoming >= windowCalls) {
          adjust();
          windowEnd = now + windowMs;
        }
        const at = (call.priority > 0 ? 0 : users) + Math.floor(draw() * users);
        histogram[at] = (histogram[at] ?? 0) + 1;
        incoming++;
        if (at > level) return false;
        admitted++;
        waiting.push(call, now);
        return true;
      },
      next(now) {
        const item = waiting.first();
        if (item === undefined) return undefined;
        waited += now - item.since;
        started++;
        return item.call;
      },
    });
  },
};
