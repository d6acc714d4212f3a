// `npm run bench:registry`: what a registry does per second, how soon the last of thousands hears of a change, and what
// an instance and a watcher take, beside the Go original and etcd where they are present.
//
//   --quick           a tenth of everything
//   --only <name>     keelson, original or etcd
//   --cpu-prof        of ours, into .cache
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { provenance } from '../provenance.mjs';
import { markdown } from '../table.mjs';
import { paced, rateOf } from './load.mjs';
import { discoveryProtocol, etcdProtocol, grantLease } from './protocols.mjs';
import {
  etcdProgram,
  originalProgram,
  residentBytes,
  startEtcd,
  startOriginal,
  startOurs,
} from './servers.mjs';
import { watchersOf } from './watchers.mjs';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    'cpu-prof': { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log('Usage: npm run bench:registry -- [--quick] [--only keelson|original|etcd] [--cpu-prof]');
  process.exit(0);
}
const quick = values.quick === true;
const share = quick ? 0.1 : 1;

/** Files that one process may open; the platform raises the soft bound to the hard one itself. */
function openFiles() {
  try {
    const [, , hard] = /^Max open files +(\S+) +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  } catch {
    return 1_024;
  }
}

const wantedWatchers = 10_000 * share;
// Besides watchers a process has a few hundred files of its own.
const watchers = Math.max(1, Math.min(wantedWatchers, openFiles() - 500));
const scale = {
  instances: 10_000 * share,
  apps: 500 * share,
  calls: 40_000 * share,
  connections: 64,
  renewsPerSecond: 5_000,
  pacedSeconds: quick ? 2 : 5,
  rounds: 5,
};

/**
 * @param {import('./servers.mjs').Served} server
 * @param {import('./protocols.mjs').Protocol} protocol
 * @param {(n: number) => string} [before] asked before each registration
 */
async function measure(server, protocol, before) {
  const { instances, calls, connections } = scale;
  const rate = (/** @type {number} */ count, /** @type {((n: number) => string) | undefined} */ ask) =>
    ask && rateOf(server, { count, connections, ask, isGood: protocol.isGood });
  /** @param {(n: number) => string} ask */
  const known = (ask) => (/** @type {number} */ n) => ask(n % instances);
  const empty = residentBytes(server.pid);
  if (before) await rate(instances, before);
  const registers = await rate(instances, protocol.register);
  const instanceBytes = (residentBytes(server.pid) - empty) / instances;
  const renews = await rate(calls, known(protocol.renew));
  const fetches = await rate(calls, known(protocol.fetch));
  const polls = await rate(calls, protocol.poll && known(protocol.poll));
  /** @type {Awaited<ReturnType<typeof paced>> | undefined} */
  let steady;
  const { bytes, last } = await watchersOf(server, protocol, {
    watchers,
    rounds: scale.rounds,
    during: async () => {
      steady = await paced(server, {
        perSecond: scale.renewsPerSecond,
        seconds: scale.pacedSeconds,
        connections,
        ask: known(protocol.renew),
      });
    },
  });
  return { registers, renews, fetches, polls, instanceBytes, watcherBytes: bytes, last, steady };
}

/** @param {number} value */
const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '–');
/** @param {import('./load.mjs').Rate | undefined} rate */
const both = (rate) => (rate ? `${whole(rate.perSecond)} (${whole(rate.perCpuSecond)})` : '–');
/** @param {number} bytes */
const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

const folder = join(fileURLToPath(new URL('../..', import.meta.url)), '.cache', 'registry-profile');
const profile = values['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : [];
if (values['cpu-prof']) mkdirSync(folder, { recursive: true });
const [original, etcd] = [originalProgram(), etcdProgram()];
const subjects = [
  { name: 'keelson', start: () => startOurs(profile), protocol: discoveryProtocol(scale) },
  {
    name: 'original',
    start: original && (() => startOriginal(original)),
    protocol: discoveryProtocol(scale),
  },
  { name: 'etcd', start: etcd && (() => startEtcd(etcd)), protocol: etcdProtocol(scale), before: grantLease },
];

const from = provenance('bench:registry', { quick });
console.log(
  `${from.machine}, Node ${from.node}, ${from.date}, ${from.commit}${from.changed ? ' and changes' : ''}\n`,
);
if (watchers < wantedWatchers)
  console.log(
    `Only ${watchers} watchers instead of ${wantedWatchers}: a process may open ${openFiles()} files (ulimit -n).\n`,
  );
/** @type {string[]} */
const heads = [];
/** @type {string[][]} */
const columns = [];
for (const { name, start, protocol, before } of subjects) {
  if (values.only !== undefined && values.only !== name) continue;
  if (!start) {
    console.log(`SKIPPED: ${name} is not on this machine.`);
    continue;
  }
  const server = await start();
  try {
    const found = await measure(server, protocol, before);
    heads.push(server.name);
    columns.push([
      ...[both(found.registers), both(found.renews), both(found.fetches), both(found.polls)],
      ...[`${whole(found.last.firstMs)} ms`, `${whole(found.last.lastMs)} ms`],
      ...[kilobytes(found.instanceBytes), kilobytes(found.watcherBytes)],
      `${whole(found.steady?.perSecond ?? Number.NaN)}`,
      `${whole((found.steady?.cpuShare ?? Number.NaN) * 100)} %`,
      `${found.steady?.p50Ms.toFixed(1)} / ${found.steady?.p99Ms.toFixed(1)} ms`,
    ]);
  } finally {
    await server.stop();
  }
}
const rows = [
  ...[
    'registers per second',
    'renews per second',
    'fetches per second',
    'polls per second, answered at once',
  ],
  ...['change answered after', `last of ${whole(watchers)} watchers told after`],
  ...['memory per instance', 'memory per parked watcher'],
  `renews per second while all wait, of ${whole(scale.renewsPerSecond)} sent`,
  ...['its share of one core', 'its latency, median / p99'],
];
const table = rows.map((row, at) => [row, ...columns.map((column) => column[at] ?? '')]);
console.log(`\n${markdown(['', ...heads], table)}\n`);
console.log(
  `${whole(scale.instances)} instances over ${whole(scale.apps)} services. In brackets: per second of the server's time on the CPU. ` +
    'Memory: growth of the resident set, garbage included. etcd: over its JSON gateway, each instance with a lease of its own.',
);
