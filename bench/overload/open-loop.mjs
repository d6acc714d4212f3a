import { seededRandom } from 'keelson/testing';
import { Counter, senderTo } from './tally.mjs';

/** @typedef {{ readonly perSecond: number, readonly leadMs: number, readonly forMs: number, readonly seed: number }} OpenLoop */

/** A call that was sent, and is given up at its deadline. */
class Sent {
  over = false;
  /** @type {() => void} */
  abort = () => undefined;
  /** @param {number} at when it is given up */
  constructor(at) {
    this.at = at;
  }
}

/**
 * Calls are sent when they are due, whether or not earlier ones were answered, and all times count from then: a stall is
 * charged to all that it delayed. Callers give up at their deadline.
 */
class Callers {
  /** Counts while it is there. @type {import('./tally.mjs').Tally | undefined} */
  tally = undefined;
  /** In the order of their deadlines. @type {Sent[]} */
  waiting = [];
  first = 0;
  running = true;

  /** @param {import('./tally.mjs').Target} target @param {OpenLoop} plan @param {Awaited<ReturnType<typeof senderTo>>} sender */
  constructor(target, { perSecond, seed }, sender) {
    this.deadlineMs = target.deadlineMs;
    this.counter = new Counter(target);
    this.time = this.counter.time;
    this.random = seededRandom(seed);
    this.sender = sender;
    this.meanMs = 1000 / perSecond;
    this.due = 0;
  }

  async start() {
    await this.sender.ready();
    this.due = this.time.now();
    this.pump();
  }

  pump = () => {
    if (!this.running) return;
    const now = this.time.now();
    this.expire(now);
    for (; this.due <= now; this.due -= Math.log(1 - this.random()) * this.meanMs) this.send(this.due);
    setTimeout(this.pump, 1);
  };

  /** @param {number} due */
  send(due) {
    const call = new Sent(due + this.deadlineMs);
    this.tally?.sent(this.time.now() - due);
    this.waiting.push(call);
    call.abort = this.sender.send((end) => {
      call.over = true;
      const ms = this.time.now() - due;
      if (ms <= this.deadlineMs) this.tally?.answered(end, ms);
      else this.tally?.expired();
    });
  }

  /** @param {number} now */
  expire(now) {
    for (; this.first < this.waiting.length; this.first++) {
      const call = /** @type {Sent} */ (this.waiting[this.first]);
      if (call.at > now) break;
      if (call.over) continue;
      call.over = true;
      call.abort();
      this.tally?.expired();
    }
    if (this.first < 10_000) return;
    this.waiting.splice(0, this.first);
    this.first = 0;
  }

  close() {
    this.running = false;
    for (const call of this.waiting) if (!call.over) call.abort();
    this.sender.close();
    this.counter.close();
  }
}

/**
 * Poisson arrivals, first uncounted, then counted.
 *
 * @param {import('./tally.mjs').Target} target
 * @param {OpenLoop} plan
 * @returns {Promise<import('./tally.mjs').LegFigures>}
 */
export async function openLoop(target, plan) {
  const sender = await senderTo(target, seededRandom(plan.seed + 1));
  const callers = new Callers(target, plan, sender);
  await callers.start();
  await callers.time.pass(plan.leadMs);
  const figures = await callers.counter.count(plan.forMs, (tally) => {
    callers.tally = tally;
  });
  callers.close();
  return figures;
}
