import { quantile } from '../harness.mjs';
import { markdown } from '../table.mjs';
import { contenders } from './contenders.mjs';
import { deadlineMs } from './plan.mjs';
import { perCpuSecond } from './run.mjs';

/** @typedef {import('./run.mjs').Run} Run */
/** @typedef {import('./tally.mjs').LegFigures} LegFigures */

/** Two bare legs of a round may differ by this much before the round is said to be disturbed. */
const bearable = 0.05;

/** @param {readonly number[]} values */
const median = (values) => quantile(values, 0.5);

/** @param {import('./run.mjs').BarePair} pair */
function apart({ before, after }) {
  const [one, other] = [perCpuSecond(before), perCpuSecond(after)];
  return Math.abs(one - other) / Math.min(one, other);
}

/** @param {number} value */
const short = (value) => (Number.isFinite(value) ? value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0) : '–');

/** @param {string} id */
const nameOf = (id) => contenders.find((one) => one.id === id)?.name ?? id;

/** One scene: what servers did, and how the contenders compare. */
class Section {
  /** @param {Run} run @param {import('./plan.mjs').Scene} scene */
  constructor(run, scene) {
    /** @param {{ scene: string }} one */
    const here = (one) => one.scene === scene.id;
    this.scene = scene;
    this.ids = run.plan.contenders(scene);
    this.legs = run.legs.filter(here);
    this.bare = run.bare.filter(here);
    this.capacity = median(
      this.bare.flatMap(({ before, after }) => [perCpuSecond(before), perCpuSecond(after)]),
    );
    this.calm = this.bare.filter((pair) => apart(pair) <= bearable).map(({ round }) => round);
  }

  /** @param {string} contender @param {number} factor */
  of(contender, factor) {
    return this.legs.filter((leg) => leg.contender === contender && leg.factor === factor);
  }

  /** @param {string} title @param {(figures: LegFigures) => number} value */
  table(title, value) {
    const rows = this.ids.map((id) => [
      nameOf(id),
      ...this.scene.factors.map((factor) =>
        short(median(this.of(id, factor).map(({ figures }) => value(figures)))),
      ),
    ]);
    return markdown([title, ...this.scene.factors.map((factor) => `${factor}×`)], rows);
  }

  /** Of what the unprotected server does that is never asked for too much. @param {LegFigures} figures */
  share({ good, serverMs }) {
    return (good * 1000 * 100) / serverMs / this.capacity;
  }

  /** How many times as much as another, in the rounds that were not disturbed. @param {string} other @param {number} factor */
  ratio(other, factor) {
    const ratios = this.of('keelson', factor).flatMap((ours) => {
      const theirs = this.of(other, factor).find(({ round }) => round === ours.round);
      if (theirs === undefined || !this.calm.includes(ours.round)) return [];
      // Of one that did nothing in time, as if it had answered one call.
      const least = 1000 / theirs.figures.serverCpuMs;
      return [perCpuSecond(ours.figures) / Math.max(perCpuSecond(theirs.figures), least)];
    });
    return median(ratios);
  }

  /** Ratios, or why there are none. */
  comparison() {
    const disturbed = this.bare.length - this.calm.length;
    if (disturbed > 0 && disturbed >= this.calm.length) {
      const worst = Math.max(...this.bare.map(apart));
      const limit = `${bearable * 100} %`;
      return `NO RATIOS: in ${disturbed} of ${this.bare.length} rounds the bare legs before and after it differ by more than ${limit} for each second of CPU, by ${(worst * 100).toFixed(0)} % at worst: the machine has other guests.`;
    }
    const factors = this.scene.factors.filter((factor) => factor > 1);
    const rows = this.ids
      .filter((id) => id !== 'keelson')
      .map((id) => [nameOf(id), ...factors.map((factor) => short(this.ratio(id, factor)))]);
    const heads = [
      `keelson over this; ${this.calm.length} of ${this.bare.length} rounds undisturbed`,
      ...factors.map((factor) => `${factor}×`),
    ];
    return markdown(heads, rows);
  }

  get text() {
    return [
      `## ${this.scene.id}: ${this.scene.about}`,
      `Unprotected, and never asked for too much: ${short(this.capacity)} for each second of CPU.`,
      this.table('in time, for each second of server CPU', perCpuSecond),
      this.table('in time, % of what the server can do', (figures) => this.share(figures)),
      this.table('p99 of those, ms', ({ p99Ms }) => p99Ms),
      this.comparison(),
    ].join('\n\n');
  }
}

/** Whether it was the caller that was measured. @param {Run} run */
function callerText({ legs }) {
  const late = Math.max(...legs.map(({ figures }) => figures.lateMs));
  const busy = Math.max(...legs.map(({ figures }) => figures.clientCpuMs / figures.wallMs));
  const text = `The caller used at most ${(busy * 100).toFixed(0)} % of a CPU, and was at most ${late.toFixed(0)} ms late (p99).`;
  return late > deadlineMs / 10 ? `DISTURBED: ${text}` : text;
}

/** @param {Run} run */
export function overloadText(run) {
  const about = `Poisson arrivals in an open loop, at multiples of what the bare server can do; callers wait ${deadlineMs} ms.`;
  const sections = run.plan.scenes.map((scene) => new Section(run, scene).text);
  return [about, ...sections, callerText(run)].join('\n\n');
}
