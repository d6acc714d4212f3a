// Processes that are asked one thing at a time.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A program of this folder, in a process of its own. */
export class Child {
  /** @type {((answer: any) => void)[]} */
  waiting = [];

  /**
   * @param {string} file
   * @param {{ args?: readonly string[], execArgv?: readonly string[], env?: Readonly<Record<string, string>> }} [how]
   */
  constructor(file, { args = [], execArgv = [], env = {} } = {}) {
    this.file = file;
    const own = Object.entries(process.env).filter(([name]) => !/^(OTEL|KEELSON)_/.test(name));
    this.child = fork(fileURLToPath(new URL(file, import.meta.url)), [...args], {
      execArgv: [...execArgv],
      env: { ...Object.fromEntries(own), ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.said = '';
    this.child.stderr?.on('data', (text) => {
      this.said = `${this.said}${text}`.slice(-4_000);
    });
    this.child.on('message', (answer) => this.waiting.shift()?.(answer));
    this.gone = new Promise((resolve) => this.child.once('exit', resolve));
    /** @type {Promise<any>} */
    this.ready = this.next();
  }

  /** @returns {Promise<any>} */
  next() {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`${this.file} ended: ${this.said}`));
      this.child.once('exit', ended);
      this.waiting.push((answer) => {
        this.child.off('exit', ended);
        resolve(answer);
      });
    });
  }

  /** @param {object} message @returns {Promise<any>} */
  async ask(message) {
    await this.ready;
    const answer = this.next();
    this.child.send(message);
    return answer;
  }

  async close() {
    if (this.child.connected) this.child.disconnect();
    this.child.kill('SIGKILL');
    await this.gone;
  }
}
