// The time of a server that has a CPU for itself. What it waits for one that others have is left out, so that neighbours on
// the machine make a measurement longer and not wrong: rates, deadlines and latencies are all in this time.
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** For so long it is taken from the clock alone, in milliseconds. */
const freshMs = 0.5;

export class ServerTime {
  buffer = Buffer.alloc(128);
  /** @type {number | undefined} */
  file = undefined;
  readAt = Number.NEGATIVE_INFINITY;
  waitedMs = 0;
  latest = 0;

  /** @param {number} pid of a process whose first thread serves */
  constructor(pid) {
    try {
      this.file = openSync(`/proc/${pid}/schedstat`, 'r');
    } catch {
      // Not Linux: then it is the clock's.
    }
  }

  /** Milliseconds; never steps back. */
  now() {
    const wall = performance.now();
    if (this.file !== undefined && wall - this.readAt > freshMs) {
      this.readAt = wall;
      this.waitedMs = this.waited(this.file);
    }
    this.latest = Math.max(this.latest, wall - this.waitedMs);
    return this.latest;
  }

  /** Resolves so many milliseconds from now. @param {number} ms */
  async pass(ms) {
    const until = this.now() + ms;
    for (let left = ms; left > 0; left = until - this.now()) await sleep(Math.max(1, left));
  }

  /** How long it was ready and did not run. @param {number} file */
  waited(file) {
    try {
      const length = readSync(file, this.buffer, 0, this.buffer.length, 0);
      // Nanoseconds on a CPU, nanoseconds of waiting for one, times.
      return Number(this.buffer.toString('latin1', 0, length).split(' ')[1]) / 1e6;
    } catch {
      // It has ended.
      return this.waitedMs;
    }
  }

  close() {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }
}
