import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';

/**
 * @typedef {object} Provenance where figures come from
 * @property {string} commit `unknown` outside of a checkout
 * @property {boolean} changed whether sources or measurements differed from the commit
 * @property {string} command
 * @property {string} machine
 * @property {string} node
 * @property {string} date
 * @property {boolean} quick
 * @property {number} [seed]
 */

/** @param {readonly string[]} args */
function git(args) {
  try {
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

/** Where the file goes says nothing of what is in it. @param {readonly string[]} args */
function withoutFile(args) {
  const at = args.indexOf('--json');
  return args.filter((arg, nth) => (at < 0 || (nth !== at && nth !== at + 1)) && !arg.startsWith('--json='));
}

/**
 * @param {string} script of package.json
 * @param {{ quick: boolean, seed?: number }} how
 * @returns {Provenance}
 */
export function provenance(script, how) {
  const args = withoutFile(process.argv.slice(2));
  return {
    commit: git(['rev-parse', '--short=12', 'HEAD']) ?? 'unknown',
    changed: git(['status', '--porcelain', '--', 'src', 'bench']) !== '',
    command: ['npm run', script, ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
    machine: `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? process.arch}`,
    node: process.versions.node,
    date: new Date().toISOString().slice(0, 10),
    ...how,
  };
}
