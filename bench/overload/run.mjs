import { shuffled } from '../harness.mjs';
import { Caller, ServerProcess } from './processes.mjs';
import { roundsPerMs } from './work.mjs';

/** @typedef {import('./tally.mjs').LegFigures} LegFigures */
/** @typedef {import('./plan.mjs').Scene} Scene */
/**
 * @typedef {object} Leg
 * @property {string} scene
 * @property {string} contender
 * @property {number} factor
 * @property {number} round
 * @property {LegFigures} figures
 */
/**
 * @typedef {object} BarePair what the unprotected server did in a closed loop, at the beginning and at the end of a round
 * @property {string} scene
 * @property {number} round
 * @property {LegFigures} before
 * @property {LegFigures} after
 */

/** Answered well and in time, for each second of the server's CPU. @param {LegFigures} figures */
export const perCpuSecond = ({ good, serverCpuMs }) => (good * 1000) / serverCpuMs;

/** All legs of a plan. Each has a server of its own, fresh and warmed up: none pays for what another left behind. */
export class Run {
  /** @type {Leg[]} */
  legs = [];
  /** @type {BarePair[]} */
  bare = [];
  caller = new Caller();
  perMs = roundsPerMs();

  /** @param {import('./plan.mjs').Plan} plan @param {(text: string) => void} tell */
  constructor(plan, tell) {
    this.plan = plan;
    this.tell = tell;
  }

  async all() {
    try {
      for (let round = 0; round < this.plan.rounds; round++)
        for (const scene of this.plan.scenes) await this.group(scene, round);
    } finally {
      this.caller.close();
    }
  }

  /** The legs of one scene in one round, in an order of chance, between two bare ones. @param {Scene} scene @param {number} round */
  async group(scene, round) {
    const { warmMs, forMs } = this.plan;
    const { id } = scene;
    const bare = new ServerProcess(this.setup(scene, 'none'));
    try {
      /** @type {import('./tally.mjs').Target} */
      const target = { ...(await bare.target()), callers: 'fleet' };
      const closed = { atOnce: 8, forMs: forMs / 2 };
      await this.caller.closedLoop(target, { atOnce: 8, forMs: warmMs });
      const before = await this.caller.closedLoop(target, closed);
      // Of a thread that has a CPU for itself. Where neighbours take some of it, more is asked than is said.
      const capacity = perCpuSecond(before);
      const combinations = scene.factors.flatMap((factor) =>
        this.plan.contenders(scene).map((contender) => ({ factor, contender })),
      );
      for (const { factor, contender } of shuffled(combinations)) {
        this.tell(`overload, round ${round + 1}: ${id}, ${contender} at ${factor}×`);
        // The same arrivals for all contenders.
        const arrivals = { perSecond: factor * capacity, seed: round * 1000 + factor * 10 };
        const figures = await this.leg(scene, contender, arrivals);
        this.legs.push({ scene: id, contender, factor, round, figures });
      }
      const after = await this.caller.closedLoop(target, closed);
      this.bare.push({ scene: id, round, before, after });
    } finally {
      bare.close();
    }
  }

  /** @param {Scene} scene @param {string} contender @param {{ perSecond: number, seed: number }} arrivals */
  async leg(scene, contender, arrivals) {
    const { warmMs, leadMs, forMs } = this.plan;
    const server = new ServerProcess(this.setup(scene, contender));
    try {
      const target = { ...(await server.target()), callers: scene.callers };
      await this.caller.closedLoop({ ...target, callers: 'fleet' }, { atOnce: 4, forMs: warmMs });
      return await this.caller.openLoop(target, { ...arrivals, leadMs, forMs });
    } finally {
      server.close();
    }
  }

  /** @param {Scene} scene @param {string} contender */
  setup({ wire, cpuMs, waitMs }, contender) {
    return { wire, contender, rounds: Math.round(cpuMs * this.perMs), waitMs };
  }
}
