import { Sample } from '../engine/sample.mjs';
import { exponential, lognormal, streams } from '../engine/streams.mjs';
import { World } from '../engine/world.mjs';
import { Call } from './attempt.mjs';
import { Client } from './client.mjs';
import { Deadlines } from './deadlines.mjs';
import { Fleet } from './fleet.mjs';
import { Replica } from './replica.mjs';
import { Tally } from './tally.mjs';

/** @typedef {import('../engine/streams.mjs').Random} Random */
/** @typedef {import('./replica.mjs').ReplicaPlan} ReplicaPlan */
/** @typedef {import('keelson/balancer').Balancer} Balancer */
/**
 * @typedef {object} Stage what a scenario may move
 * @property {World} world
 * @property {readonly Replica[]} replicas
 * @property {(name: string) => Random} draw
 * @property {number} untilMs
 * @property {(factor: number) => void} setRate of all arrivals; 1 is the usual
 * @property {(replica: Replica) => void} list makes it known to the clients
 * @property {(replica: Replica) => void} delist
 */
/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title
 * @property {readonly number[]} loads mean work that comes, as a part of what the replicas can do on average
 * @property {boolean} chosenOn whether constants were chosen on it
 * @property {number} [clients] 30 if absent
 * @property {(draw: (name: string) => Random) => readonly ReplicaPlan[]} replicas
 * @property {number} [availability] part of the speed that is left on average by what `live` does
 * @property {number} [meanRate] mean of what `live` sets the rate to
 * @property {(random: Random) => number} [work] CPU time of one call at speed 1; an exponential distribution if absent
 * @property {(random: Random) => number} [waiting] how long a call waits for something else than the thread; lognormal around 4 ms if absent
 * @property {(clients: number) => readonly number[]} [shares] part of the calls of each client; equal if absent
 * @property {(stage: Stage) => void} [live] what happens besides calls
 * @property {(client: number) => string} [zone] where a client is
 * @property {number} [crossingMs] further time on the wire, each way, to a replica of another zone
 * @property {number | undefined} [seconds] how long to measure, if not as long as the others
 * @property {number | undefined} [warmUpMs] how long before that, likewise
 */
/**
 * @typedef {object} Rule
 * @property {string} name
 * @property {'shipped' | 'peer' | 'oracle'} kind
 * @property {boolean} [lookOnly] not in the table: to compare with by hand
 * @property {(streams: (name: string) => Random, client: number, fleet: Fleet) => Balancer} make one for each client; only peers and oracles look at the fleet
 */
/**
 * @typedef {object} Transport
 * @property {string} name
 * @property {boolean} [retries] one safe retry
 * @property {(streams: (name: string) => Random, client: number) => import('./copies.mjs').Doubling} [doubling] one for each client
 */
/**
 * @typedef {object} Figures
 * @property {number} p50 @property {number} p90 @property {number} p95 @property {number} p99
 * @property {number} p999 @property {number} p9999 @property {number} mean milliseconds; a call that timed out counts with its deadline
 * @property {number} calls
 * @property {number} errors part of the calls that their callers saw fail, those that timed out included
 * @property {number} timeouts
 * @property {number} lost part of the calls of which the first try was refused or lost
 * @property {number} copies @property {number} duplicates parts of the calls that were sent and that ran twice
 * @property {number} messages per call, besides request and answer
 * @property {number} happened events in the simulator
 */

/** CPU time of one call at speed 1. */
export const workMs = 3;
export const ioMs = 4;
const ioSigma = 0.5;
/** On the wire, each way: never less than the first, the second on average on top. */
const wireFloorMs = 0.2;
const wireRestMs = 0.1;
export const deadlineMs = 1000;
/** Not counted: rules start without knowing anything. */
const usualWarmUpMs = 3000;

/**
 * One rule in one scenario at one load.
 *
 * @param {object} options
 * @param {Scenario} options.scenario @param {number} options.load
 * @param {Rule} options.rule @param {Transport} options.transport
 * @param {number} options.seed @param {number} options.seconds that are measured
 * @returns {Figures}
 */
export function runCell({ scenario, load, rule, transport, seed, seconds }) {
  const draw = streams(seed);
  const world = new World();
  const tally = new Tally();
  const latencies = new Sample();
  const wireOf = (/** @type {Random} */ random) => () => wireFloorMs + exponential(random, wireRestMs);
  const random = draw('threads');
  const replicas = scenario
    .replicas(draw)
    .map((plan, index) => new Replica(world, index, { speed: 1, threads: 1, weight: 100, ...plan }, random));
  const fleet = new Fleet(world, replicas, scenario.clients ?? 30, wireOf(draw('messages')), tally);
  const deadlines = new Deadlines(world, deadlineMs);
  const { warmUpMs = usualWarmUpMs } = scenario;
  const untilMs = warmUpMs + seconds * 1000;

  /** @type {Balancer[]} */
  const balancers = [];
  const clients = Array.from({ length: scenario.clients ?? 30 }, (_, index) => {
    const own = (/** @type {string} */ name) => draw(`${name}/${index}`);
    const balancer = rule.make(own, index, fleet);
    balancers.push(balancer);
    return new Client({
      world,
      balancer,
      fleet,
      deadlines,
      tally,
      latencies,
      wireMs: wireOf(own('copies')),
      zone: scenario.zone?.(index),
      crossingMs: scenario.crossingMs ?? 0,
      retries: transport.retries === true,
      doubling: transport.doubling?.(own, index),
    });
  });

  const listed = new Set(replicas);
  /** What clients know, one list for all. */
  const publish = () => {
    const endpoints = [...listed].map((replica) => {
      const endpoint = replica.endpoint();
      fleet.name(endpoint, replica);
      return endpoint;
    });
    for (const balancer of balancers) balancer.update(endpoints, world.now);
  };
  publish();
  let rate = 1;
  scenario.live?.({
    world,
    replicas,
    draw,
    untilMs,
    setRate: (factor) => {
      rate = factor;
    },
    list: (replica) => {
      listed.add(replica);
      publish();
    },
    delist: (replica) => {
      listed.delete(replica);
      publish();
    },
  });

  const work = scenario.work ?? ((/** @type {Random} */ from) => exponential(from, workMs));
  const waiting = scenario.waiting ?? ((/** @type {Random} */ from) => lognormal(from, ioMs, ioSigma));
  const capacity = replicas.reduce((sum, { plan }) => sum + plan.speed * plan.threads, 0) / workMs;
  const perMs = (capacity * load * (scenario.availability ?? 1)) / (scenario.meanRate ?? 1);
  const chooses = chooser(clients, scenario.shares?.(clients.length));
  const arrivals = draw('arrivals');
  const callers = draw('callers');
  const jobs = draw('jobs');
  const pauses = draw('io');
  const wire = wireOf(draw('wire'));
  const arrive = (/** @type {number} */ now) => {
    const client = chooses(callers());
    const call = new Call(client, now, work(jobs), waiting(pauses), wire(), wire(), now >= warmUpMs);
    client.begin(call, now);
    const next = now + exponential(arrivals, 1 / (perMs * rate));
    if (next < untilMs) world.at(next, arrive);
  };
  world.at(exponential(arrivals, 1 / perMs), arrive);
  world.run(untilMs + deadlineMs + 1);

  const { calls } = tally;
  return {
    p50: latencies.quantile(0.5),
    p90: latencies.quantile(0.9),
    p95: latencies.quantile(0.95),
    p99: latencies.quantile(0.99),
    p999: latencies.quantile(0.999),
    p9999: latencies.quantile(0.9999),
    mean: latencies.mean(),
    calls,
    errors: tally.errors / calls,
    timeouts: tally.timeouts / calls,
    lost: tally.lost / calls,
    copies: tally.copies / calls,
    duplicates: tally.duplicates / calls,
    messages: tally.messages / calls,
    happened: world.happened,
  };
}

/**
 * @template T
 * @param {readonly T[]} items @param {readonly number[] | undefined} shares
 * @returns {(uniform: number) => T}
 */
function chooser(items, shares) {
  if (shares === undefined) return (uniform) => /** @type {T} */ (items[Math.floor(uniform * items.length)]);
  const total = shares.reduce((sum, share) => sum + share, 0);
  /** @type {number[]} */
  const bounds = [];
  for (const share of shares) bounds.push((bounds.at(-1) ?? 0) + share / total);
  return (uniform) =>
    /** @type {T} */ (items[bounds.findIndex((bound) => uniform < bound)] ?? items[items.length - 1]);
}
