import { seededRandom } from 'keelson/testing';
import { Counter, senderTo } from './tally.mjs';

/** @typedef {{ readonly atOnce: number, readonly forMs: number }} ClosedLoop */

/**
 * So many calls at one time, and the next when one is answered: what a server does that is never asked for too much.
 *
 * @param {import('./tally.mjs').Target} target
 * @param {ClosedLoop} plan
 * @returns {Promise<import('./tally.mjs').LegFigures>}
 */
export async function closedLoop(target, { atOnce, forMs }) {
  const sender = await senderTo(target, seededRandom(atOnce));
  const counter = new Counter(target);
  const { time } = counter;
  let running = true;
  /** @type {import('./tally.mjs').Tally | undefined} */
  let tally;
  const next = () => {
    if (!running) return;
    const start = time.now();
    tally?.sent(0);
    sender.send((end) => {
      tally?.answered(end, time.now() - start);
      // Not at once: a server that closes connections would leave nobody else a turn.
      setImmediate(next);
    });
  };
  for (let i = 0; i < atOnce; i++) next();
  await time.pass(forMs / 4);
  const figures = await counter.count(forMs, (current) => {
    tally = current;
  });
  running = false;
  sender.close();
  counter.close();
  return figures;
}
