// What it costs a server of HTTP/1 to read a request and to refuse it, in CPU time of its process.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { quantile, shuffled } from '../harness.mjs';
import { markdown } from '../table.mjs';
import { HttpSender } from './http-sender.mjs';

const ways = [
  { id: 'socket', name: 'the same bytes, always, on a socket without a parser' },
  { id: 'node', name: 'node:http, writeHead(503)' },
  { id: 'usual', name: 'keelson, rejectEarly: false' },
  { id: 'early', name: 'keelson' },
];

/** @typedef {{ readonly id: string, readonly us: number, readonly leastUs: number, readonly refused: number }} RejectCost */

const program = fileURLToPath(new URL('refuser.mjs', import.meta.url));

/** One server, and a closed loop of callers that can be switched on and off. */
class Pair {
  /** @type {number[]} */
  us = [];
  refused = 0;
  running = false;

  /** @param {string} way */
  constructor(way) {
    this.way = way;
    this.child = fork(program, [way], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  }

  async open() {
    const [{ port }] = await once(this.child, 'message');
    this.sender = new HttpSender(port, 'fleet', () => 0);
  }

  async cpuUs() {
    const answer = once(this.child, 'message');
    this.child.send({});
    return /** @type {number} */ ((await answer)[0].cpuUs);
  }

  next = () => {
    if (!this.running) return;
    this.sender?.send((end) => {
      if (end !== 'refused') throw new Error(`${this.way} was to refuse, and did not: ${end}`);
      this.refused++;
      this.next();
    });
  };

  /** @param {number} forMs @param {boolean} [counts] */
  async leg(forMs, counts = true) {
    const before = this.refused;
    const start = await this.cpuUs();
    this.running = true;
    for (let i = 0; i < 16; i++) this.next();
    await sleep(forMs);
    this.running = false;
    // The last are answered before CPU is read again, so as many are counted as were paid for.
    await sleep(20);
    if (counts) this.us.push(((await this.cpuUs()) - start) / (this.refused - before));
  }

  close() {
    this.sender?.close();
    this.child.disconnect();
  }
}

/** @param {{ quick: boolean }} options @returns {Promise<RejectCost[]>} */
export async function rejectCost({ quick }) {
  const pairs = ways.map(({ id }) => new Pair(id));
  try {
    for (const pair of pairs) await pair.open();
    for (const pair of pairs) await pair.leg(quick ? 300 : 1000, false);
    for (let round = 0; round < (quick ? 3 : 12); round++)
      for (const pair of shuffled(pairs)) await pair.leg(quick ? 100 : 300);
  } finally {
    for (const pair of pairs) pair.close();
  }
  return pairs.map(({ way, us, refused }) => ({
    id: way,
    us: quantile(us, 0.5),
    leastUs: Math.min(...us),
    refused,
  }));
}

/** @param {readonly RejectCost[]} costs */
export function rejectCostText(costs) {
  const plain = costs.find(({ id }) => id === 'node')?.us ?? Number.NaN;
  const rows = costs.map(({ id, us, leastUs }) => [
    ways.find((way) => way.id === id)?.name ?? id,
    us.toFixed(1),
    leastUs.toFixed(1),
    (us / plain).toFixed(2),
  ]);
  return `## What a refusal costs\n\n${markdown(['µs of CPU to read and refuse', 'median', 'least', '× node:http'], rows)}`;
}
