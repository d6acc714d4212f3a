/** @typedef {import('./attempt.mjs').Attempt} Attempt */
/** @typedef {import('./attempt.mjs').Call} Call */
/** @typedef {import('keelson/core').ServerLoad} ServerLoad */
/**
 * @typedef {object} Doubling when a second copy is sent, and how the two learn of each other
 * @property {'client' | 'servers' | 'nobody'} told who tells the other copy that one starts: the client that heard of it,
 *   the server that starts it, or nobody until one has answered
 * @property {boolean} [early] it is told when a copy is the next to start
 * @property {number} cancelMs CPU time that a copy costs which was taken back before it started
 * @property {(id: string, now: number) => number} delayMs how long after the first copy, which went to that endpoint; `Infinity` for never
 * @property {(now: number) => 'free' | 'claim' | undefined} copies when that time has come: whether one may be sent, and whether it
 *   has to ask before it starts
 * @property {() => void} [called] a call begins
 * @property {(id: string, load: ServerLoad, now: number) => void} [reported] what an endpoint said of itself
 * @property {(id: string, afterMs: number, now: number) => void} [started] the client heard of a start so long after it was sent
 * @property {() => void} [duplicated] the client heard that both ran
 * @property {(latencyMs: number, now: number) => void} [succeeded] a call was answered
 */

/**
 * The second copies of one client's calls. A copy that lost is taken back; one that runs already goes on, and its end is
 * only of use to the balancer.
 */
export class Copies {
  /** @param {import('./client.mjs').Client} client @param {Doubling} doubling */
  constructor(client, doubling) {
    this.client = client;
    this.doubling = doubling;
  }

  /** @param {Call} call @param {Attempt} first @param {number} now */
  begun(call, first, now) {
    const { doubling } = this;
    const { deadlines, world } = this.client.parts;
    doubling.called?.();
    const delayMs = doubling.delayMs(first.lease.endpoint.id, now);
    if (delayMs < deadlines.ms) world.after(delayMs, (at) => this.#copy(call, first, at));
  }

  /** @param {Attempt} attempt @param {number} _now @returns {boolean} whether it may start at once */
  mayStart(attempt, _now) {
    const { call } = attempt;
    const { told } = this.doubling;
    if (attempt.claims && !attempt.granted) {
      attempt.stage = 'asking';
      this.#tell(attempt);
      return false;
    }
    if (call.runs++ === 1 && call.counted) this.client.parts.tally.duplicates++;
    if (told === 'client' && !attempt.granted) this.#tell(attempt);
    if (told === 'servers') {
      attempt.noticed = true;
      for (const other of call.attempts) if (other !== attempt) this.#takeBack(other);
    }
    return true;
  }

  /** A copy is the next to start. @param {Attempt} attempt */
  isNext(attempt) {
    if (this.doubling.early) this.#tell(attempt);
  }

  /** @param {Attempt} attempt */
  #tell(attempt) {
    if (attempt.told) return;
    attempt.told = true;
    this.#message((now) => (attempt.claims ? this.#asked(attempt, now) : this.#started(attempt, now)));
  }

  /** @param {Attempt} attempt @param {ServerLoad | undefined} load @param {number} now */
  answered(attempt, load, now) {
    if (load !== undefined) this.doubling.reported?.(attempt.lease.endpoint.id, load, now);
  }

  /** A first copy failed. One that was refused never ran; any other may have, and then the second must not. @param {Attempt} first */
  failed(first) {
    const { call } = first;
    const [, second] = call.attempts;
    if (first !== call.attempts[0] || !second?.claims || second.let || second.settled || second.out) return;
    if (first.thread !== undefined) this.beaten(second);
    else {
      call.cleared = true;
      if (second.noticed) this.#grant(second);
    }
  }

  /** @param {number} latencyMs @param {number} now */
  succeeded(latencyMs, now) {
    this.doubling.succeeded?.(latencyMs, now);
  }

  /** A copy is of no use any more, and is taken back. @param {Attempt} attempt */
  beaten(attempt) {
    attempt.out = true;
    this.#takeBack(attempt);
  }

  /** @param {Attempt} attempt */
  #takeBack(attempt) {
    const { cancelMs, duplicated } = this.doubling;
    const heard = (/** @type {number} */ now) => {
      const ran = attempt.replica.takeBack(attempt, cancelMs, now);
      if (ran && duplicated !== undefined) this.#message(() => duplicated());
    };
    this.#message(() => attempt.replica.hear(attempt, heard));
  }

  /** @param {Call} call @param {Attempt} first @param {number} now */
  #copy(call, first, now) {
    if (call.done || first.noticed || first.settled) return;
    const mode = this.doubling.copies(now);
    if (mode === undefined) return;
    const { tally, wireMs } = this.client.parts;
    const second = this.client.send(call, new Set([first.lease.endpoint.id]), wireMs(), wireMs(), now);
    if (second === undefined) return;
    second.claims = mode === 'claim';
    if (call.counted) tally.copies++;
  }

  /** The client hears that a copy runs, or is the next to. @param {Attempt} attempt @param {number} now */
  #started(attempt, now) {
    attempt.noticed = true;
    this.doubling.started?.(attempt.lease.endpoint.id, now - attempt.sentAt, now);
    const { call } = attempt;
    // Its server has been asked already, and says what holds; to take back both would help nobody.
    if (call.done || attempt.out || call.asking) return;
    for (const other of call.attempts)
      if (other !== attempt && !other.settled && !other.out) this.beaten(other);
  }

  /**
   * The client hears that the second copy has its turn, or is the next. It asks the server of the first to take that back,
   * and lets the second start only when the answer is that the first never will.
   *
   * @param {Attempt} second @param {number} now
   */
  #asked(second, now) {
    second.noticed = true;
    this.doubling.started?.(second.lease.endpoint.id, now - second.sentAt, now);
    const { call } = second;
    if (call.done || second.out) return;
    const first = /** @type {Attempt} */ (call.attempts[0]);
    if (call.cleared) this.#grant(second);
    else if (first.noticed) this.beaten(second);
    else {
      call.asking = true;
      this.#message(() => first.replica.hear(first, (at) => this.#withdraw(first, second, at)));
    }
  }

  /** The server of the first is asked. One that does not have it, or not yet, cannot say that it never will. @param {Attempt} first @param {Attempt} second @param {number} now */
  #withdraw(first, second, now) {
    const withdrawn =
      first.stage === 'waiting' && !first.replica.takeBack(first, this.doubling.cancelMs, now);
    this.#message((at) => {
      const { call } = second;
      call.asking = false;
      if (call.done || second.out) return;
      if (!withdrawn) {
        this.beaten(second);
        return;
      }
      first.out = true;
      call.cleared = true;
      if (second.settled) this.client.repeat(call, at);
      else this.#grant(second);
    });
  }

  /** @param {Attempt} second */
  #grant(second) {
    second.let = true;
    this.#message((at) => second.replica.granted(second, at));
  }

  /** @param {(now: number) => void} arrives */
  #message(arrives) {
    const { tally, wireMs, world } = this.client.parts;
    tally.messages++;
    world.after(wireMs(), arrives);
  }
}
