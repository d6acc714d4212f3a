// What is done to a registry, and how long it takes.
import { Connection } from './connection.mjs';
import { cpuSeconds } from './servers.mjs';

/**
 * @typedef {object} Rate
 * @property {number} perSecond by the clock
 * @property {number} perCpuSecond of the server's time on the CPU: what one core does, whoever else is on the machine
 */

/**
 * Asks as fast as it is answered.
 *
 * @param {{ host: string, pid: number }} server
 * @param {{ count: number, connections: number, ask: (n: number) => string, isGood: (answer: Buffer) => boolean }} work
 * @returns {Promise<Rate>}
 */
export async function rateOf({ host, pid }, { count, connections, ask, isGood }) {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(host)));
  const [cpu, from] = [cpuSeconds(pid), performance.now()];
  let next = 0;
  const work = async (/** @type {Connection} */ connection) => {
    while (next < count) {
      const n = next++;
      const answer = await connection.ask(ask(n));
      if (!isGood(answer)) throw new Error(`${host}: ${answer.toString('utf8', 0, 600)}`);
    }
  };
  await Promise.all(open.map(work));
  const seconds = (performance.now() - from) / 1_000;
  const used = cpuSeconds(pid) - cpu;
  for (const connection of open) connection.close();
  return { perSecond: count / seconds, perCpuSecond: used > 0 ? count / used : Number.NaN };
}

/**
 * Asks at a given rate, whether it is answered or not.
 *
 * @param {{ host: string, pid: number }} server
 * @param {{ perSecond: number, seconds: number, connections: number, ask: (n: number) => string }} work
 */
export async function paced({ host, pid }, { perSecond, seconds, connections, ask }) {
  const idle = await Promise.all(Array.from({ length: connections }, () => Connection.open(host)));
  const open = [...idle];
  /** @type {number[]} */
  const times = [];
  const [cpu, from] = [cpuSeconds(pid), performance.now()];
  const total = perSecond * seconds;
  let sent = 0;
  let answered = 0;
  await new Promise((resolve, reject) => {
    const send = (/** @type {Connection} */ connection, /** @type {number} */ n) => {
      // From when it was due, or a server that stalls would be excused from what it delays.
      const due = from + (n * 1_000) / perSecond;
      connection.ask(ask(n)).then(() => {
        times.push(performance.now() - due);
        idle.push(connection);
        answered++;
        if (answered === total) resolve(undefined);
        else tick();
      }, reject);
    };
    const tick = () => {
      const due = Math.min(total, Math.floor(((performance.now() - from) * perSecond) / 1_000));
      while (sent < due) {
        const connection = idle.pop();
        if (connection === undefined) return;
        send(connection, sent++);
      }
    };
    const timer = setInterval(() => {
      tick();
      if (answered === total) clearInterval(timer);
    }, 1);
  });
  const took = (performance.now() - from) / 1_000;
  const share = (cpuSeconds(pid) - cpu) / took;
  for (const connection of open) connection.close();
  times.sort((a, b) => a - b);
  /** @param {number} ratio */
  const at = (ratio) => times[Math.min(times.length - 1, Math.floor(times.length * ratio))] ?? Number.NaN;
  return { perSecond: total / took, cpuShare: share, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Opens connections a few hundred at a time: a listener's queue is not endless. @param {string} host @param {number} count */
export async function openMany(host, count) {
  const batch = 250;
  /** @type {Connection[]} */
  const open = [];
  while (open.length < count) {
    const some = Array.from({ length: Math.min(batch, count - open.length) }, () => Connection.open(host));
    open.push(...(await Promise.all(some)));
  }
  return open;
}
