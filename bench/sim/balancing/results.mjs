import { base, ideal } from './plan.mjs';

/** @typedef {import('./plan.mjs').Task} Task */
/** @typedef {import('./plan.mjs').Line} Line */
/** @typedef {import('./cell.mjs').Figures} Figures */
/** @typedef {{ readonly scenario: string, readonly load: number }} Cell */

/** @param {Line} line */
export const lineName = ({ rule, transport }) => (transport === 'single' ? rule : `${rule}, ${transport}`);

/** What came out, to be asked by cell and line. */
export class Results {
  /** @type {Map<string, Figures>} */
  #figures = new Map();
  /** @type {Cell[]} */
  cells = [];
  /** @type {Line[]} */
  lines = [];

  /** @param {readonly Task[]} tasks @param {readonly Figures[]} figures */
  constructor(tasks, figures) {
    tasks.forEach((task, at) => {
      const { scenario, load, rule, transport } = task;
      if (!this.cells.some((cell) => cell.scenario === scenario && cell.load === load))
        this.cells.push({ scenario, load });
      if (!this.lines.some((line) => line.rule === rule && line.transport === transport))
        this.lines.push({ rule, transport });
      this.#figures.set(this.#key(task, task), /** @type {Figures} */ (figures[at]));
    });
  }

  /** @param {Cell} cell @param {Line} line @returns {Figures | undefined} */
  get(cell, line) {
    return this.#figures.get(this.#key(cell, line));
  }

  /**
   * How much of what separates the base from the ideal, at p99, a line closes; 1 is all.
   *
   * @param {Cell} cell @param {Line} line @returns {number | undefined}
   */
  gap(cell, line) {
    const worst = this.get(cell, { rule: base, transport: 'single' });
    const best = this.get(cell, { rule: ideal, transport: 'single' });
    const mine = this.get(cell, line);
    if (worst === undefined || best === undefined || mine === undefined) return undefined;
    return (worst.p99 - mine.p99) / (worst.p99 - best.p99);
  }

  /** @param {Cell} cell @param {Line} line */
  #key({ scenario, load }, { rule, transport }) {
    return `${scenario}/${load}/${rule}/${transport}`;
  }
}
