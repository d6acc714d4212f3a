import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('member.mjs', import.meta.url));

/** One process of a pair. */
export class Member {
  /** @param {readonly string[]} args of `member.mjs` */
  constructor(args) {
    this.name = args.join(' ');
    this.child = fork(program, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    /** Its first message. */
    this.ready = this.answer();
  }

  /** @param {object} message @returns {Promise<any>} */
  ask(message) {
    const answer = this.answer();
    this.child.send(message);
    return answer;
  }

  async cpuUs() {
    return /** @type {number} */ ((await this.ask({})).cpuUs);
  }

  close() {
    if (this.child.connected) this.child.disconnect();
  }

  /** @returns {Promise<any>} */
  async answer() {
    const over = new AbortController();
    const { signal } = over;
    try {
      const [message] = await Promise.race([
        once(this.child, 'message', { signal }),
        once(this.child, 'exit', { signal }).then(([code]) => {
          throw new Error(`${this.name} ended with ${code}`);
        }),
      ]);
      return message;
    } finally {
      over.abort();
    }
  }
}
