// What governance costs a call, beside what others cost it. It reports and never fails for being slow.
//   npm run bench -- [--quick] [--json] [--instructions]
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { verdicts } from './goals.mjs';
import { bytesFlags, quantile } from './harness.mjs';
import { canCount, countInstructions } from './instructions.mjs';
import { subjects } from './overhead/subjects.mjs';
import { goalsText, sectionsOf, tableOf } from './report.mjs';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    instructions: { type: 'boolean', default: false },
  },
});

// Processes differ in what the compiler happens to inline, so there are several, and their median counts.
const effort = flags.quick
  ? { processes: 1, rounds: 12, warmMs: 15, chunkMs: 0.3 }
  : { processes: 5, rounds: 150, warmMs: 80, chunkMs: 0.8 };

/** To count takes a minute each, so only what the goals are about and what explains it. */
const worthCounting = [
  ...['bare', 'sync', 'opossum', 'opossum.lean', 'cockatiel.noop', 'cockatiel.breaker', 'cockatiel.wrap'],
  ...['gate.sre', 'gate.threshold', 'gate.bbr', 'gate.concurrency', 'gate.rate', 'attempt.sre'],
  ...[
    'standard.3',
    'client.least',
    'client.balancer',
    'client.breaker',
    'client.retry',
    'client.deadline',
    'client.full',
  ],
];

const worker = fileURLToPath(new URL('worker.mjs', import.meta.url));

/** @param {string} text */
const tell = (text) => process.stderr.write(`${text}\n`);

/** @param {'time' | 'bytes'} mode @param {readonly string[]} nodeFlags @returns {Promise<Record<string, any>>} */
function measured(mode, nodeFlags) {
  const { rounds, warmMs, chunkMs } = effort;
  const args = [...nodeFlags, worker, mode, String(rounds), String(warmMs), String(chunkMs)];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve(JSON.parse(said));
      else reject(new Error(`worker ${mode} ended with ${code}`));
    });
  });
}

/** @returns {Promise<Record<string, any>>} */
async function counted() {
  if (!flags.instructions) return {};
  if (!canCount()) {
    tell('SKIPPED: instructions are counted by valgrind, and there is none on this machine');
    return {};
  }
  return countInstructions(worthCounting, (id) => tell(`counting instructions of ${id}`));
}

/** @returns {Promise<Record<string, import('./goals.mjs').Figure>>} */
async function figures() {
  const times = [];
  for (let process = 1; process <= effort.processes; process++) {
    tell(`timing, process ${process} of ${effort.processes}`);
    times.push(await measured('time', []));
  }
  tell('measuring bytes');
  const bytes = await measured('bytes', bytesFlags);
  const instructions = await counted();
  const middle = (/** @type {string} */ id, /** @type {'ns' | 'medianNs'} */ field) =>
    quantile(
      times.map((one) => one[id][field]),
      0.5,
    );
  return Object.fromEntries(
    Object.keys(bytes).map((id) => [
      id,
      { ns: middle(id, 'ns'), medianNs: middle(id, 'medianNs'), ...bytes[id], ...instructions[id] },
    ]),
  );
}

const all = subjects();
for (const { close } of all) close?.();
const known = await figures();
const sections = sectionsOf(all, known);
const goals = verdicts(known);
const machine = `${availableParallelism()} CPUs, Node ${process.versions.node}`;
if (flags.json) console.log(JSON.stringify({ machine, quick: flags.quick, sections, goals }, null, 2));
else console.log(`${machine}\n\n${tableOf(sections)}\n\n${goalsText(goals)}`);
