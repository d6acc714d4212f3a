import { exponential, streams } from '../engine/streams.mjs';
import { World } from '../engine/world.mjs';
import { Call } from './call.mjs';
import { clientsOf } from './clients.mjs';
import { connections } from './connections.mjs';
import { clockOf, hostOf } from './platform.mjs';
import { Book } from './tally.mjs';
import { Thread } from './thread.mjs';

/** @typedef {import('../engine/streams.mjs').Random} Random */
/**
 * What a limiter finds where it runs.
 *
 * @typedef {object} Place
 * @property {World} world
 * @property {Thread} thread
 * @property {import('keelson/core').Clock} clock
 * @property {import('keelson/limiter/load').LoadHost} host
 * @property {(name: string) => Random} random
 */
/**
 * A way to limit.
 *
 * @typedef {object} Contender
 * @property {string} id
 * @property {string} name
 * @property {(place: Place) => import('./call.mjs').Admission} make
 */
/**
 * How much is offered, in parts of what the server can answer: as a number, or by the ms since the phase began.
 *
 * @typedef {object} Phase
 * @property {number} ms
 * @property {number | ((ms: number) => number)} load
 * @property {number} [peak] the most that `load` says
 */
/**
 * What a call is like, apart from when it comes.
 *
 * @typedef {object} Kind
 * @property {import('./call.mjs').Program} program
 * @property {number} weight how much of what the server can do it takes; milliseconds
 * @property {string} [operation]
 * @property {string} [key]
 */
/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} name
 * @property {readonly Phase[]} phases
 * @property {number} perMs calls that the server can answer if nobody is refused
 * @property {(random: Random, world: World) => () => Kind} kinds makes the source of calls of one run
 * @property {import('./call.mjs').Costs} costs
 * @property {number} deadlineMs after which a client gives up
 * @property {number} highShare share of the calls that have priority 1
 * @property {import('./thread.mjs').Quota} [quota]
 * @property {number} [connections] that carry many calls each; without it every call has one of its own
 * @property {{ count: number, make: (index: number) => import('keelson/core').Gate }} [clients] with a throttle each
 * @property {(thread: Thread, random: Random) => void} [trouble] what else happens to the process
 * @property {(load: number) => number} limit the most good work per ms under such a load
 * @property {number} judged the phase that counts; the last phase is the return to normal
 */

/** @typedef {{ book: Book, thread: Thread, happened: number }} Run */

/** @param {Scenario} scenario @param {Contender} contender @param {number} seed @returns {Run} */
export function run(scenario, contender, seed) {
  const { phases, perMs, costs, deadlineMs, highShare, quota } = scenario;
  const stream = streams(seed);
  const world = new World();
  const thread = new Thread(world, quota);
  const book = new Book(phases);
  const admission = contender.make({
    world,
    thread,
    clock: clockOf(thread),
    host: hostOf(thread, quota),
    random: (name) => stream(`contender/${name}`),
  });
  const home = { thread, admission, ledger: book, costs };
  const next = scenario.kinds(stream('kinds'), world);
  const gaps = stream('arrivals');
  const thinning = stream('thinning');
  const priorities = stream('priorities');
  const isSent =
    scenario.clients &&
    clientsOf(scenario.clients, { random: stream('clients'), world, admission, deadlineMs });
  const send =
    scenario.connections === undefined
      ? (/** @type {Call} */ call) => thread.ready(call)
      : connections(thread, scenario.connections, stream('connections'));
  scenario.trouble?.(thread, stream('trouble'));

  const arrive = (/** @type {number} */ now) => {
    const { program, weight, operation = 'GET', key = '' } = next();
    const call = new Call(home, {
      arrivedAt: now,
      deadlineAt: now + deadlineMs,
      priority: priorities() < highShare ? 1 : 0,
      operation,
      key,
      program,
      weight,
    });
    book.offered(call);
    if (isSent === undefined || isSent(call, now)) send(call);
    else book.withheld(call);
  };

  /** Arrivals at random; by thinning where the load changes. @param {number} index @param {number} from */
  const enter = (index, from) => {
    const phase = phases[index];
    if (phase === undefined) return;
    const { load, ms, peak = 1 } = phase;
    const most = typeof load === 'number' ? load : peak;
    const end = from + ms;
    const schedule = (/** @type {number} */ now) => {
      let at = now;
      do at += exponential(gaps, 1 / (most * perMs));
      while (typeof load === 'function' && at < end && thinning() * most > load(at - from));
      if (at >= end) world.at(end, () => enter(index + 1, end));
      else
        world.at(at, () => {
          arrive(at);
          schedule(at);
        });
    };
    schedule(from);
  };
  enter(0, 0);
  // Nobody comes any more, but who came last is still answered.
  world.run(phases.reduce((sum, { ms }) => sum + ms, deadlineMs));
  return { book, thread, happened: world.happened };
}
