// Servers and the caller, each in a process of its own, so that CPU time is the work of one side alone.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { deadlineMs } from './plan.mjs';

/** @typedef {import('./tally.mjs').LegFigures} LegFigures */
/** @typedef {import('./tally.mjs').Target} Target */

/**
 * @typedef {object} Setup
 * @property {'http' | 'grpc'} wire
 * @property {string} contender
 * @property {number} rounds of `spin`
 * @property {number} waitMs after the work, without work
 */

/** @param {string} file @param {readonly string[]} args */
function program(file, args) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  // In JSON what is no number would become null.
  return fork(path, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
}

/** @param {import('node:child_process').ChildProcess} child @param {string} what @returns {Promise<any>} */
async function messageOf(child, what) {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(child, 'exit', { signal }).then(([code, sign]) => {
    throw new Error(`${what} ended with ${code ?? sign}`);
  });
  try {
    return (await Promise.race([once(child, 'message', { signal }), ended]))[0];
  } finally {
    over.abort();
  }
}

/** A server in a process of its own. */
export class ServerProcess {
  /** @param {Setup} setup */
  constructor({ wire, contender, rounds, waitMs }) {
    this.wire = wire;
    this.child = program('server.mjs', [contender, wire, JSON.stringify({ rounds, waitMs })]);
    this.ready = messageOf(this.child, `the server ${contender}`);
  }

  /** @returns {Promise<Omit<Target, 'callers'>>} */
  async target() {
    return { wire: this.wire, deadlineMs, .../** @type {any} */ (await this.ready) };
  }

  close() {
    this.child.kill('SIGKILL');
  }
}

/** The one process that calls. */
export class Caller {
  constructor() {
    this.child = program('load.mjs', []);
    this.ready = messageOf(this.child, 'the caller');
  }

  /** @param {Target} target @param {import('./closed-loop.mjs').ClosedLoop} closed @returns {Promise<LegFigures>} */
  closedLoop(target, closed) {
    return this.ask({ target, closed });
  }
  /** @param {Target} target @param {import('./open-loop.mjs').OpenLoop} open @returns {Promise<LegFigures>} */
  openLoop(target, open) {
    return this.ask({ target, open });
  }

  /** @param {import('./load.mjs').Task} message @returns {Promise<LegFigures>} */
  async ask(message) {
    await this.ready;
    const answer = messageOf(this.child, 'the caller');
    this.child.send(message);
    return answer;
  }

  close() {
    this.child.kill('SIGKILL');
  }
}
