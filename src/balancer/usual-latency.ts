/** Answers that one who was never asked is taken to have given, each as the others do: one slow connection is no habit yet. */
const given = 3;
/** The mean of so many answers settles on what is usual now: enough to be calm, few enough to notice a change. */
const most = 50;
/** Above what the root of an answer counts as so many times that of the usual: one that hung says no more than that. */
const clip = 3;

/**
 * What answers usually take, in one number: the square of the mean of their roots. Between a median, which wanders where half of
 * the calls are cheap and half are dear, and a mean, which one call in a thousand that hung would make.
 */
export class UsualLatency {
  private root = Number.NaN;
  private answers = 0;

  /** Milliseconds; `NaN` before the first answer. */
  get ms(): number {
    return this.root * this.root;
  }

  /** Forgets what it learned: as one of which nothing is known but that others take so long. @param ms - `NaN`: nobody knows */
  begin(ms: number): void {
    this.root = Math.sqrt(ms);
    this.answers = given;
  }

  /** Takes one answer, above 0; others are passed over. */
  add(ms: number): void {
    if (!(ms > 0)) return;
    const root = Math.sqrt(ms);
    if (!(this.root > 0)) {
      this.begin(ms);
      return;
    }
    if (this.answers < most) this.answers++;
    this.root += (Math.min(root, clip * this.root) - this.root) / this.answers;
  }
}
