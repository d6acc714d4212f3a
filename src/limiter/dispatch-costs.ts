/** So many operations are told apart; what comes after them counts together, under no name. */
const mostOperations = 1000;
/** An average is over about so many calls. */
const memory = 128;
/** No call costs the thread less than this, whatever the clock says: reading, queueing, answering; milliseconds. */
const leastMs = 0.01;
/** What a call costs before any was seen; milliseconds. */
const unknownMs = 1;
/** How much of its own size a cost may drift between two accounts. */
const drift = 0.03;
/** More than so many times what calls were taken to cost was something else: a collection, a callback of others. */
const outlier = 10;
/** The same of one call, whose work may well be uneven; what is more counts as not measured. */
const outlierOfOne = 32;
/** Of the first calls of an operation, for which each takes many times as long as later, the middle one counts. */
const firstCalls = 8;
/** A thread that sleeps for more than this shows that calls cost no more than it worked. */
const sleepy = 0.5;
/** How much that weighs after few calls: as if so many had cost what was thought. */
const doubtful = 2;
/** Of what is not measured so much is believed however idle the thread is, and of the first calls of a process. */
const leastBelief = 0.25;
const firstOfProcess = 256;
/** About so much of what keeps a thread busy has nothing to do with calls, now more and now less. */
const otherShare = 0.1;
/** The quickest of late, and what is usual, may grow by so much with each call: not by what calls wait for each other. */
const quickestGrowth = 1.01;
const usualGrowth = 1.002;

/** What calls of one operation cost the thread, and how long they take. */
export class OperationCost {
  /** How much of them waits; milliseconds. */
  queuedMs = 0;
  /** How long they usually take from their start to their answer; milliseconds, `NaN` before the first. */
  usualMs = Number.NaN;
  /** The same of the quickest. */
  quickestMs = Number.NaN;
  /** When that was last seen. */
  seenAt = Number.NEGATIVE_INFINITY;
  /** How many were answered since the last account. */
  answered = 0;
  private begunMs = 0;
  private samples = 0;
  private restMs = 0;
  /** Variance of the estimate of the rest. At first anything up to some ten milliseconds is likely. */
  private doubt = 25;
  /** How long the first ones took, the shortest first; `undefined` when there were enough. */
  private first: number[] | undefined = [];

  /** @param share - most of the queue that it may have, 0 to 1 */
  constructor(readonly share: number) {}

  /** What one call costs, with all that belongs to it; milliseconds, `NaN` before the first. */
  get costMs(): number {
    return this.samples > 0 ? Math.max(leastMs, this.begunMs + this.restMs) : Number.NaN;
  }
  /** How much of that comes after the synchronous part; milliseconds. */
  get laterMs(): number {
    return this.restMs;
  }

  /** The synchronous part of a call took so long. @returns how much of that is believed to be the call's own */
  began(ms: number): number {
    this.samples = Math.min(memory, this.samples + 1);
    const { first } = this;
    if (first !== undefined) {
      const at = first.findIndex((other) => other > ms);
      first.splice(at < 0 ? first.length : at, 0, ms);
      this.begunMs = first[(first.length - 1) >> 1] as number;
      if (first.length === firstCalls) this.first = undefined;
      return ms;
    }
    const believedMs = Math.min(ms, outlierOfOne * Math.max(leastMs, this.begunMs));
    this.begunMs += (believedMs - this.begunMs) / this.samples;
    return believedMs;
  }

  /** A call was answered so long after its start. */
  took(measuredMs: number, now: number): void {
    const ms = Math.max(measuredMs, leastMs);
    this.answered++;
    this.seenAt = now;
    if (Number.isNaN(this.usualMs)) {
      this.usualMs = ms;
      this.quickestMs = ms;
      return;
    }
    this.quickestMs = Math.min(ms, this.quickestMs * quickestGrowth);
    this.usualMs =
      ms < this.usualMs ? this.usualMs + (ms - this.usualMs) / 16 : Math.min(ms, this.usualMs * usualGrowth);
  }

  /** @internal Its part in what is explained, and in what cannot be: n²P and n σ² of a Kalman filter. */
  weigh(account: Account): void {
    const { answered, restMs } = this;
    account.restMs -= answered * restMs;
    account.spread += answered * answered * this.doubt;
    account.noise += answered * Math.max(restMs * restMs, this.begunMs * this.begunMs * drift);
  }

  /** @internal Takes its part of the difference. */
  settle({ restMs, spread, noise }: Account): void {
    const gain = (this.doubt * this.answered) / (spread + noise);
    this.restMs = Math.max(0, this.restMs + gain * restMs);
    this.doubt = this.doubt * (1 - gain * this.answered) + (drift * this.restMs) ** 2;
  }

  /** @internal It cannot have been more than this part of what was thought. */
  shrink(ratio: number): void {
    this.restMs *= ratio;
  }
}

interface Account {
  restMs: number;
  spread: number;
  noise: number;
}

/**
 * Learns what calls cost a thread, by operation.
 *
 * The synchronous part of a call is measured. What follows after an `await` nobody can tell from the rest of what the
 * thread does; but how long the thread was busy altogether is known, and how many calls of which operations were
 * answered meanwhile. What was not measured is laid to the account of those, by a Kalman filter that takes each
 * operation for independent: whose cost is least certain bears most of a difference. Reading, refusing and everything
 * else that the thread does is in it, as it should be: a queue moves on no faster than that.
 *
 * That is so while the thread is short of time. On one that sleeps a lot, or has just begun, the same account blames a few
 * calls for compiling, for a pause, or for refusing others; so there less of it is believed, and what the thread worked in
 * all is an upper bound.
 */
export class CallCosts {
  private readonly operations = new Map<string, OperationCost>();
  private readonly others = new OperationCost(1);
  private measuredMs = 0;
  private toAccount: OperationCost[] = [];
  /** How much of what is not measured is believed. */
  private belief = leastBelief;
  private seen = 0;
  private mean = 0;
  private answers = 0;

  /** @param shares - most of the queue for operations that may not have all of it */
  constructor(private readonly shares: Readonly<Record<string, number>>) {}

  /** What one call of any operation costs on average; milliseconds. */
  get meanMs(): number {
    return this.answers === 0 ? unknownMs : this.mean;
  }

  of(name: string): OperationCost {
    const known = this.operations.get(name);
    if (known !== undefined) return known;
    if (this.operations.size >= mostOperations) return this.others;
    const share = Object.hasOwn(this.shares, name) ? (this.shares[name] as number) : 1;
    const made = new OperationCost(share);
    this.operations.set(name, made);
    return made;
  }

  /** What a call is taken to cost. */
  costMs(operation: OperationCost): number {
    const ms = operation.costMs - (1 - this.belief) * operation.laterMs;
    return ms > 0 ? ms : this.meanMs;
  }

  began(operation: OperationCost, ms: number): void {
    this.measuredMs += operation.began(ms);
  }

  answered(operation: OperationCost, ms: number, now: number): void {
    if (operation.answered === 0) this.toAccount.push(operation);
    operation.took(ms, now);
    if (this.seen < firstOfProcess) this.seen++;
    const { costMs } = operation;
    if (!(costMs > 0)) return;
    this.answers = Math.min(memory, this.answers + 1);
    this.mean += (costMs - this.mean) / this.answers;
  }

  /**
   * The thread was busy for so long since the last account; `NaN` if nobody knows.
   *
   * @param idleRatio - share of that time for which it slept; `NaN` for unknown
   * @param usualBusyRatio - share for which it usually does not, lately
   */
  account(busyMs: number, idleRatio: number, usualBusyRatio: number): void {
    const { toAccount } = this;
    const isNew = this.seen < firstOfProcess;
    this.belief = isNew ? leastBelief : Math.max(leastBelief, Math.min(1, usualBusyRatio / sleepy));
    const unmeasuredMs = Math.max(0, busyMs - this.measuredMs);
    this.measuredMs = 0;
    if (toAccount.length === 0) return;
    this.toAccount = [];
    let costMs = 0;
    for (const operation of toAccount) costMs += operation.answered * operation.costMs;
    // One pause among few calls must not pass for their cost; a cost that really rose gets through in a few steps.
    const restMs = Math.min(unmeasuredMs, outlier * costMs);
    const account: Account = { restMs, spread: 0, noise: (otherShare * busyMs) ** 2 + leastMs };
    for (const operation of toAccount) operation.weigh(account);
    if (Number.isFinite(account.restMs)) {
      for (const operation of toAccount) operation.settle(account);
      disprove(toAccount, unmeasuredMs, idleRatio);
    }
    for (const operation of toAccount) operation.answered = 0;
  }
}

/**
 * A thread that slept had time for more than there was, so all that it did is an upper bound of what calls cost. An average
 * forgets slowly, and what is thought too dear is refused and hardly shows that it is not.
 */
function disprove(operations: readonly OperationCost[], unmeasuredMs: number, idleRatio: number): void {
  if (!(idleRatio > sleepy)) return;
  let count = 0;
  let thoughtMs = 0;
  for (const { answered, laterMs } of operations) {
    count += answered;
    thoughtMs += answered * laterMs;
  }
  if (thoughtMs <= unmeasuredMs) return;
  const weight = (((idleRatio - sleepy) / (1 - sleepy)) * count) / (count + doubtful);
  const ratio = 1 - weight * (1 - unmeasuredMs / thoughtMs);
  for (const operation of operations) operation.shrink(ratio);
}
