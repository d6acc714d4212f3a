/** Answers of which the mean backlog of all endpoints is made: some seconds of a quiet client, a moment of a busy one. */
const fleetAnswers = 64;
/** With each answer, what the quickest takes rises by this: when it is gone or slow, another is the quickest after some dozens. */
const rise = 1.02;

/** What the endpoints of one service have in common: what one of them is like while nothing else is known of it. */
export class Fleet {
  /** What the quickest of them usually takes, but for its backlog. */
  usualMs = Number.NaN;
  /** Mean backlog of those that answered last. */
  backlogMs = 0;
  /** Whether the last of those said it itself: what latency suggests says less. */
  told = true;
  /** How many answered. */
  answers = 0;
  /** Calls of this client that wait now, and how many did when the last ones started. */
  private waiting = 0;
  private company = 0;

  /** How much a backlog says that may be over: little to a client that makes one call at a time, all to one with others under way. */
  get bustle(): number {
    return Math.min(1, this.company);
  }

  /** One of them answered, before whom so much waits. */
  take(backlogMs: number, told: boolean): void {
    this.told = told;
    this.backlogMs += (backlogMs - this.backlogMs) / fleetAnswers;
  }

  /** One of them answered, who usually takes so long; what is not above 0 is passed over. */
  compare(usualMs: number): void {
    if (!(usualMs > 0)) return;
    const risenMs = this.usualMs * rise;
    this.usualMs = usualMs > risenMs ? risenMs : usualMs;
  }

  /** A call starts. */
  begun(): void {
    this.company += (this.waiting - this.company) / fleetAnswers;
    this.waiting++;
  }
  /** The first response of a call, or its end. */
  answered(): void {
    this.waiting--;
  }
}
