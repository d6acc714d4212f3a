import { evidence } from 'keelson/breaker';
import { createCall, guard, neverAgain, retriedBelow, runWithCall } from 'keelson/core';
import { retry } from 'keelson/retry';
import { manualClock } from 'keelson/testing';
import { exponential, streams } from '../engine/streams.mjs';

/** @typedef {import('keelson/core').Call} Call */
/** @typedef {import('./rules.mjs').Rule} Rule */

/**
 * One request of a user, with what is drawn of it: by which service of each tier it goes, and its luck at each try there.
 *
 * @typedef {{ readonly path: readonly number[], readonly luck: () => number }} Request
 */
/** @typedef {{ readonly ok: boolean, readonly again: boolean }} Answer */

/**
 * What fails by itself, in which tier and service.
 *
 * @typedef {(place: { tier: number, service: number }, now: number, luck: () => number) => boolean} Fault
 */

const tiers = 3;
const services = 3;
const users = 5;

/** @type {import('keelson/core').Protocol<Request, Answer>} */
const protocol = {
  classify: (answer) => (answer?.ok ? 'success' : 'failure'),
  feedback: (answer) => (answer.again ? undefined : { retryAfterMs: neverAgain }),
};

/**
 * Five users in front of three tiers of three services each; every service calls one of the next tier for each of its
 * calls, and each client of each service has a budget, and maybe a breaker, of its own.
 *
 * @param {Rule} rule
 * @param {{ perSecond: number, seconds: number, seed: number, fault: Fault, fromMs: number }} how what is before
 * `fromMs` is not counted
 */
export async function play(rule, { perSecond, seconds, seed, fault, fromMs }) {
  const clock = manualClock();
  const stream = streams(seed);
  const jitter = stream('jitter');
  const random = stream('breakers');
  const arrived = new Array(tiers).fill(0);

  /** @param {string} service @param {(request: Request, call: Call) => Promise<Answer>} server */
  const clientOf = (service, server) => {
    /** @type {import('keelson/core').Handler<Request, Answer>} */
    const guarded = rule.breaks ? guard([evidence({ random })], { protocol, clock })(server) : server;
    const { attempts, budget } = rule;
    const send = retry({ protocol, clock, random: jitter, attempts, budget: budget() })(guarded);
    return (/** @type {Request} */ request) =>
      send(request, createCall({ side: 'client', service, operation: 'GET', idempotent: true }));
  };

  /** @typedef {(request: Request, call: Call) => Promise<Answer>} Server */

  /** @param {number} tier @param {number} service @param {readonly Server[]} servers of the next tier @returns {Server} */
  const serverOf = (tier, service, servers) => {
    const below = servers.map((server, next) => clientOf(`${tier + 1}.${next}`, server));
    return (request) => {
      if (clock.now() >= fromMs) arrived[tier]++;
      const inbound = createCall({ side: 'server', service: `${tier}`, operation: 'GET' });
      return runWithCall(inbound, async () => {
        if (fault({ tier, service }, clock.now(), request.luck)) return { ok: false, again: true };
        const next = below[request.path[tier + 1] ?? 0];
        if (next === undefined) return { ok: true, again: true };
        try {
          if ((await next(request)).ok) return { ok: true, again: true };
        } catch {
          // A refusal of the breaker, which the server answers with 503.
        }
        return { ok: false, again: !(rule.tells && retriedBelow(inbound)) };
      });
    };
  };

  /** @type {Server[]} */
  let entries = [];
  for (let tier = tiers - 1; tier >= 0; tier--) {
    const below = entries;
    entries = Array.from({ length: services }, (_, service) => serverOf(tier, service, below));
  }
  const clients = Array.from({ length: users }, () => entries.map((server) => clientOf('0', server)));
  const [arrivals, who, where] = [stream('arrivals'), stream('who'), stream('where')];
  let nth = 0;
  let asked = 0;
  let served = 0;
  for (let now = exponential(arrivals, 1000 / perSecond); now < seconds * 1000; ) {
    const path = Array.from({ length: tiers }, () => Math.floor(where() * services));
    const luck = streams(seed * 1_000_003 + nth)('luck');
    const send = clients[Math.floor(who() * users)]?.[path[0] ?? 0];
    nth++;
    const counts = now >= fromMs;
    if (counts) asked++;
    send?.({ path, luck }).then(
      (answer) => {
        if (answer.ok && counts) served++;
      },
      () => undefined,
    );
    const next = now + exponential(arrivals, 1000 / perSecond);
    await clock.advance(next - now);
    now = next;
  }
  await clock.advance(5000);
  return { asked, served: served / asked, amplified: arrived[tiers - 1] / asked, arrived };
}
