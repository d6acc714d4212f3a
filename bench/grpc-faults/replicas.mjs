import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('replica.mjs', import.meta.url));

/** Addresses of one machine, as DNS has no ports. */
export const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];

/** @typedef {{ readonly workMs: number, readonly drainMs: number, readonly registry?: string | undefined }} ReplicaOptions */

/** Three processes, each at an address of its own and all at one port, which they keep when they come back. */
export class Replicas {
  /** @type {Map<string, import('node:child_process').ChildProcess>} */
  running = new Map();
  port = 0;

  /** @param {ReplicaOptions} options */
  constructor(options) {
    this.options = options;
  }

  async open() {
    // The first is given a port, and the others take the same.
    for (const host of hosts) await this.start(host);
    return this;
  }

  get urls() {
    return hosts.map((host) => `grpc://${host}:${this.port}`);
  }

  /** Resolves when it listens, and is registered. @param {string} host */
  async start(host) {
    const args = [JSON.stringify({ ...this.options, host, port: this.port })];
    const child = fork(program, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.running.set(host, child);
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the replica at ${host} ended with ${code ?? signal} before it listened`);
    });
    const [{ port }] = await Promise.race([once(child, 'message'), ended]);
    // From now on it may end.
    ended.catch(() => undefined);
    this.port = port;
  }

  /** Resolves when it has ended. @param {string} host @param {NodeJS.Signals} signal */
  async end(host, signal) {
    const child = this.running.get(host);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async close() {
    await Promise.all(hosts.map((host) => this.end(host, 'SIGKILL')));
  }
}
