import { bestQuarter, quantile, shuffled } from '../harness.mjs';
import { Member } from './members.mjs';

/**
 * @typedef {object} Effort
 * @property {number} rounds
 * @property {number} warmMs
 * @property {number} chunkMs
 * @property {number} stubRounds
 * @property {number} stubChunkMs
 */
/** @typedef {'bare' | 'governed'} Variant */
/** @typedef {{ readonly p50Us: number, readonly p99Us: number, readonly perSecond: number, readonly cpuUs: number, readonly peerCpuUs: number }} Sample */
/** @typedef {{ bare: number, governed: number, ratio: number }} Compared medians of the rounds; the ratio is that of each round */
/**
 * @typedef {object} LoadFigures
 * @property {number} atOnce
 * @property {Compared} p50Us
 * @property {Compared} p99Us
 * @property {Compared} perSecond
 * @property {Compared} cpuUs of the side that is bare or governed, for each call
 * @property {Compared} peerCpuUs of the other side
 */
/** @typedef {{ failed: number, reason: string | undefined }} Failures how many calls were not answered as they should be, and why the first */
/** @typedef {Failures & { bareUs: number, governedUs: number, addedUs: number, addedCpuUs: number }} StubFigures */
/**
 * @typedef {object} Figures
 * @property {string} id
 * @property {string} name
 * @property {'client' | 'server'} governs
 * @property {string} [stubName]
 * @property {StubFigures} [stub]
 * @property {LoadFigures[]} loads
 * @property {number} failed
 * @property {string | undefined} reason
 */

/** @type {readonly Variant[]} */
const variants = ['bare', 'governed'];
const callersAtOnce = [1, 32];
const fields = /** @type {const} */ (['p50Us', 'p99Us', 'perSecond', 'cpuUs', 'peerCpuUs']);

/** One variant of a pair: who calls, and who is called. */
class Lane {
  failed = 0;
  /** @type {string | undefined} */
  reason;

  /** @param {import('./pairs.mjs').Pair} pair @param {Variant} variant */
  constructor(pair, variant) {
    this.governs = pair.governs;
    this.pair = pair;
    this.variant = variant;
  }

  async open() {
    const { caller, server } = this.pair;
    this.server = new Member(['server', server, this.governs === 'server' ? this.variant : 'bare']);
    const { url } = await this.server.ready;
    this.caller = new Member(['caller', caller, this.governs === 'client' ? this.variant : 'bare', url]);
    await this.caller.ready;
    return this;
  }

  /** @param {number} atOnce @param {number} forMs @returns {Promise<Sample>} */
  async sample(atOnce, forMs) {
    const { server, caller } = this;
    if (server === undefined || caller === undefined) throw new Error('open it first');
    const before = await server.cpuUs();
    /** @type {import('./load.mjs').Load} */
    const seen = await caller.ask({ load: { atOnce, forMs } });
    const [callerUs, serverUs] = [seen.cpuUs / seen.calls, ((await server.cpuUs()) - before) / seen.calls];
    this.failed += seen.failed;
    this.reason ??= seen.reason;
    return {
      p50Us: seen.p50Us,
      p99Us: seen.p99Us,
      perSecond: (seen.calls * 1000) / seen.wallMs,
      cpuUs: this.governs === 'client' ? callerUs : serverUs,
      peerCpuUs: this.governs === 'client' ? serverUs : callerUs,
    };
  }

  close() {
    this.caller?.close();
    this.server?.close();
  }
}

/** @param {readonly number[]} values */
const median = (values) => quantile(values, 0.5);

/** @param {readonly Record<Variant, Sample>[]} rounds @param {typeof fields[number]} field @returns {Compared} */
function compared(rounds, field) {
  return {
    bare: median(rounds.map(({ bare }) => bare[field])),
    governed: median(rounds.map(({ governed }) => governed[field])),
    ratio: median(rounds.map(({ bare, governed }) => governed[field] / bare[field])),
  };
}

/**
 * Over real sockets, the variants in turn: what disturbs the machine disturbs both.
 *
 * @param {import('./pairs.mjs').Pair} pair
 * @param {Effort} effort
 * @returns {Promise<Figures>}
 */
export async function contest(pair, { rounds, warmMs, chunkMs }) {
  const lanes = variants.map((variant) => new Lane(pair, variant));
  try {
    await Promise.all(lanes.map((lane) => lane.open()));
    /** @type {Map<number, Record<Variant, Sample>[]>} */
    const samples = new Map(callersAtOnce.map((atOnce) => [atOnce, []]));
    for (const atOnce of callersAtOnce) for (const lane of lanes) await lane.sample(atOnce, warmMs);
    for (let round = 0; round < rounds; round++) {
      for (const [atOnce, taken] of samples) {
        /** @type {Partial<Record<Variant, Sample>>} */
        const sample = {};
        for (const lane of shuffled(lanes)) sample[lane.variant] = await lane.sample(atOnce, chunkMs);
        taken.push(/** @type {Record<Variant, Sample>} */ (sample));
      }
    }
    const loads = [...samples].map(([atOnce, taken]) => ({
      atOnce,
      .../** @type {Record<typeof fields[number], Compared>} */ (
        Object.fromEntries(fields.map((field) => [field, compared(taken, field)]))
      ),
    }));
    return {
      id: pair.id,
      name: pair.name,
      governs: pair.governs,
      loads,
      failed: lanes.reduce((sum, { failed }) => sum + failed, 0),
      reason: lanes.find(({ reason }) => reason !== undefined)?.reason,
    };
  } finally {
    for (const lane of lanes) lane.close();
  }
}

/**
 * Without sockets: what the adapter and all that it brings add to a call. The quickest quarter of the chunks counts.
 *
 * @param {string} stub
 * @param {Effort} effort
 * @returns {Promise<StubFigures>}
 */
export async function stubContest(stub, { stubRounds, stubChunkMs, warmMs }) {
  const members = variants.map((variant) => ({ variant, member: new Member(['stub', stub, variant]) }));
  try {
    await Promise.all(members.map(({ member }) => member.ready));
    /** @type {Record<Variant, { us: number[], cpuUs: number[] }>} */
    const taken = { bare: { us: [], cpuUs: [] }, governed: { us: [], cpuUs: [] } };
    let failed = 0;
    /** @type {string | undefined} */
    let reason;
    for (const { member } of members) await member.ask({ load: { atOnce: 1, forMs: warmMs } });
    for (let round = 0; round < stubRounds; round++) {
      for (const { variant, member } of shuffled(members)) {
        /** @type {import('./load.mjs').Load} */
        const seen = await member.ask({ load: { atOnce: 1, forMs: stubChunkMs } });
        failed += seen.failed;
        reason ??= seen.reason;
        taken[variant].us.push((seen.wallMs * 1000) / seen.calls);
        taken[variant].cpuUs.push(seen.cpuUs / seen.calls);
      }
    }
    const { bare, governed } = taken;
    const [bareUs, governedUs] = [bestQuarter(bare.us), bestQuarter(governed.us)];
    const addedCpuUs = bestQuarter(governed.cpuUs) - bestQuarter(bare.cpuUs);
    return { bareUs, governedUs, addedUs: governedUs - bareUs, addedCpuUs, failed, reason };
  } finally {
    for (const { member } of members) member.close();
  }
}
