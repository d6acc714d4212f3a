// What happened between two moments, and what CPU time it took both sides.
import { once } from 'node:events';
import { connect } from 'node:net';
import { quantile } from '../harness.mjs';
import { GrpcSender } from './grpc-sender.mjs';
import { HttpSender } from './http-sender.mjs';
import { ServerTime } from './server-time.mjs';

/**
 * @typedef {object} Target
 * @property {'http' | 'grpc'} wire
 * @property {number} port
 * @property {number} pid
 * @property {number} clockPort where its CPU time is told
 * @property {number} deadlineMs how long callers wait
 * @property {import('./http-sender.mjs').Callers | import('./fetch-sender.mjs').FetchCallers} callers
 */
/**
 * @typedef {object} LegFigures
 * @property {number} offered calls that were due
 * @property {number} good answered well, and in time
 * @property {number} refused by the server
 * @property {number} held back by the caller
 * @property {number} expired given up
 * @property {number} failed
 * @property {number} p50Ms of the good ones
 * @property {number} p99Ms
 * @property {number} wallMs
 * @property {number} serverMs the same in the time of the server
 * @property {number} serverCpuMs
 * @property {number} clientCpuMs
 * @property {number} lateMs how late calls were sent, at the 99th percentile
 */

/** @param {Target} target @param {() => number} random */
export async function senderTo({ wire, port, deadlineMs, callers }, random) {
  if (wire === 'grpc') return new GrpcSender(port, deadlineMs);
  if (callers === 'fleet' || callers === 'proxy') return new HttpSender(port, callers, random);
  // It brings a client with it that the others do without.
  const { FetchSender } = await import('./fetch-sender.mjs');
  return new FetchSender({ port, deadlineMs, callers }, random);
}

/** Reads the CPU time of a server. Connected beforehand: under load there may be no file left to open. */
class CpuClock {
  /** @param {number} port */
  constructor(port) {
    this.socket = connect(port, '127.0.0.1').setEncoding('utf8');
  }

  async ms() {
    const answer = once(this.socket, 'data');
    this.socket.write('?');
    return Number((await answer)[0]) / 1000;
  }

  close() {
    this.socket.destroy();
  }
}

const ownCpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

export class Tally {
  counts = { offered: 0, good: 0, refused: 0, held: 0, expired: 0, failed: 0 };
  /** @type {number[]} */
  latencies = [];
  /** @type {number[]} */
  delays = [];

  /** @param {number} lateMs how late it was sent */
  sent(lateMs) {
    this.counts.offered++;
    this.delays.push(lateMs);
  }

  /** @param {import('./http-sender.mjs').End} end @param {number} ms since it was due */
  answered(end, ms) {
    if (end === 'ok') {
      this.counts.good++;
      this.latencies.push(ms);
    } else this.counts[end]++;
  }

  expired() {
    this.counts.expired++;
  }
}

/** Counts what happens in a while. */
export class Counter {
  /** @param {Target} target */
  constructor({ pid, clockPort }) {
    this.time = new ServerTime(pid);
    this.clock = new CpuClock(clockPort);
  }

  /** @param {number} forMs @param {(tally: Tally | undefined) => void} use is given the tally for that time, then nothing @returns {Promise<LegFigures>} */
  async count(forMs, use) {
    const { time, clock } = this;
    const tally = new Tally();
    const cpuMs = await clock.ms();
    const [start, serverStart, own] = [performance.now(), time.now(), ownCpuMs()];
    use(tally);
    await time.pass(forMs);
    use(undefined);
    const serverCpuMs = (await clock.ms()) - cpuMs;
    const { latencies, delays, counts } = tally;
    return {
      ...counts,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      wallMs: performance.now() - start,
      serverMs: time.now() - serverStart,
      serverCpuMs,
      clientCpuMs: ownCpuMs() - own,
      lateMs: quantile(delays, 0.99),
    };
  }

  close() {
    this.time.close();
    this.clock.close();
  }
}
