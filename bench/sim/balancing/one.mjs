// One cell, for a look: node … bench/sim/balancing/one.mjs --cell C0.9 [--rule NAME]... [--transport NAME] [--seconds 10] [--seed 1]
import { parseArgs } from 'node:util';
import { markdown } from '../../table.mjs';
import { runCell } from './cell.mjs';
import { rules } from './rules.mjs';
import { scenarios } from './scenarios.mjs';
import { transports } from './transports.mjs';

const { values: flags } = parseArgs({
  options: {
    cell: { type: 'string', multiple: true, default: ['A0.9'] },
    rule: { type: 'string', multiple: true },
    transport: { type: 'string', multiple: true, default: ['single'] },
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
  },
});
/** @param {number} value @param {number} [digits] */
const show = (value, digits = 1) => value.toFixed(digits);
/** @type {string[][]} */
const rows = [];
for (const cell of flags.cell) {
  const scenario = scenarios.find(({ id }) => cell.startsWith(id) && Number(cell.slice(id.length)) > 0);
  if (scenario === undefined) throw new RangeError(`--cell: no scenario ${cell}`);
  const load = Number(cell.slice(scenario.id.length));
  for (const name of flags.transport) {
    const transport = transports.get(name);
    if (transport === undefined) throw new RangeError(`--transport: no ${name}`);
    for (const rule of rules) {
      if (flags.rule !== undefined && !flags.rule.includes(rule.name)) continue;
      const began = process.cpuUsage();
      const figures = runCell({
        scenario,
        load,
        rule,
        transport,
        seed: Number(flags.seed),
        seconds: Number(flags.seconds),
      });
      const { user, system } = process.cpuUsage(began);
      rows.push([
        `${cell} ${name} ${rule.name}`,
        show(figures.p50),
        show(figures.p99),
        show(figures.p999),
        show(figures.mean),
        show(figures.errors * 100, 3),
        show(figures.lost * 100, 3),
        show(figures.copies * 100),
        show(figures.duplicates * 100),
        show(figures.messages, 2),
        String(figures.calls),
        show((user + system) / 1e6, 2),
      ]);
    }
  }
}
console.log(
  markdown(
    ['cell', 'p50', 'p99', 'p999', 'mean', 'err %', 'lost %', 'copies %', 'dup %', 'msg', 'calls', 'CPU s'],
    rows,
  ),
);
