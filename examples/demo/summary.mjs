import { millis, percent } from './table.mjs';

const goal = { success: 0.999 };

/** What the demo promises, and whether it kept it. */
export function verdict(plain, governed, cluster) {
  const slowShare = governed.replicas.find(({ name }) => name === cluster.slowName)?.share ?? 0;
  const fairShare = 1 / cluster.replicaCount;
  const checks = {
    success: governed.success >= goal.success,
    slowShare: slowShare <= fairShare / 2,
  };
  return {
    slowShare,
    fairShare,
    p99Ratio: governed.p99 / plain.p99,
    checks,
    passed: Object.values(checks).every(Boolean),
  };
}

/** What failed of a phase, the most frequent first, and whether the machine let it run at all. */
export function failed(name, { failures, starvation }) {
  const counted = Object.entries(failures).sort(([, one], [, other]) => other - one);
  const lines =
    counted.length === 0
      ? []
      : [`failures, ${name}: ${counted.map(([code, n]) => `${n} × ${code}`).join(', ')}`];
  return starvation === undefined ? lines : [...lines, `STARVED, ${name}: ${starvation}`];
}

/** Both phases side by side. */
export function summary({ plain, keelson, slowShare, fairShare, p99Ratio, checks, passed }) {
  const slowPlain = plain.replicas.find(({ fault }) => fault.includes('slower'))?.share ?? 0;
  const rows = [
    ['', 'plain fetch', 'keelson'],
    ['requests', plain.sent, keelson.sent],
    ['success', percent(plain.success), percent(keelson.success)],
    ['p50', `${millis(plain.p50)} ms`, `${millis(keelson.p50)} ms`],
    ['p99', `${millis(plain.p99)} ms`, `${millis(keelson.p99)} ms`],
    ['slow replica gets', percent(slowPlain, 1), percent(slowShare, 1)],
  ];
  const line = (cells) =>
    `  ${cells
      .map((cell, i) => String(cell).padEnd(i === 0 ? 20 : 14))
      .join('')
      .trimEnd()}`;
  const mark = (ok) => (ok ? 'held' : 'NOT HELD');
  return `${[
    'Same load, same faults:',
    ...rows.map(line),
    '',
    `p99 with keelson is ${p99Ratio.toFixed(2)} of the plain one`,
    `success >= ${percent(goal.success, 1)}: ${mark(checks.success)}`,
    `slow replica <= ${percent(fairShare / 2, 1)} (half its fair share): ${mark(checks.slowShare)}`,
    ...failed('plain fetch', plain),
    ...failed('keelson', keelson),
    passed ? 'demo passed' : 'demo FAILED',
  ].join('\n')}\n`;
}
