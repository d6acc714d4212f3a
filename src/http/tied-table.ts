import type { TiedMark, TiedState } from '../core/tied-copy.js';

/** How long a copy is remembered from when it came, in milliseconds: longer than both copies of a call are on their way. */
const ttlMs = 30_000;
/** Most that are remembered; the oldest is forgotten for one above this. */
const mostCopies = 20_000;

const forgotten = (): void => undefined;

/** One copy on its server: it runs once or not at all, whatever is asked and in whichever order. */
export class ServedCopy {
  private state: 'waiting' | 'let' | 'started' | 'withdrawn' | 'expired' = 'waiting';
  private asked = false;
  private parked: (() => void) | undefined = undefined;

  /**
   * @param mark - as its sender wrote it
   * @param turnAway - told once, when it is certain that it will never run
   */
  constructor(
    readonly mark: TiedMark,
    readonly enteredAt: number,
    private turnAway: (state: TiedState) => void,
  ) {}

  /** Its turn has come. @returns whether it may run; one that has to be let may not, and one that was taken back never */
  start(): boolean {
    if (this.state === 'waiting' && this.mark.mode === 'free') this.state = 'started';
    return this.state === 'started';
  }

  /** Its sender is asked whether it may start, now that its turn comes. */
  ask(): void {
    this.asked = true;
  }

  /** Its turn has come, and it has to be let. @returns whether it is let already; else `granted` is told when it is */
  park(granted: () => void): boolean {
    if (this.state === 'let') this.state = 'started';
    else if (this.state === 'waiting') this.parked = granted;
    return this.state === 'started';
  }

  /** Nobody can let one start whom nobody has asked. */
  grant(): TiedState {
    if (this.state === 'let') return 'started';
    if (this.state !== 'waiting') return this.state;
    if (!this.asked) return 'unknown';
    const { parked } = this;
    this.parked = undefined;
    this.state = parked === undefined ? 'let' : 'started';
    parked?.();
    return 'granted';
  }

  withdraw(): TiedState {
    return this.end('withdrawn');
  }

  expire(): TiedState {
    return this.end('expired');
  }

  /**
   * Its request is over, and is let go of: the copy is remembered for longer.
   *
   * @param answered - by whomever: what was never told to start may have done something all the same
   */
  close(answered: boolean): void {
    if (this.state === 'waiting' && answered) this.state = 'started';
    this.parked = undefined;
    this.turnAway = forgotten;
  }

  private end(state: 'withdrawn' | 'expired'): TiedState {
    if (this.state === 'let') return 'started';
    if (this.state !== 'waiting') return this.state;
    this.state = state;
    this.parked = undefined;
    this.turnAway(state);
    return state;
  }
}

/** The copies that came to one server lately, by the id of their call. */
export class TiedTable {
  private readonly copies = new Map<string, ServedCopy>();

  get size(): number {
    return this.copies.size;
  }

  /** @returns what to answer when one of that id has been here: then this one must not run */
  enter(
    mark: TiedMark,
    now: number,
    turnAway: (state: TiedState) => void = forgotten,
  ): ServedCopy | 'duplicate' | 'started' {
    const known = this.copies.get(mark.id);
    // Of a copy that comes twice the one before may have run.
    if (known !== undefined) return known.mark.copy === mark.copy ? 'started' : 'duplicate';
    this.sweep(now);
    const copy = new ServedCopy(mark, now, turnAway);
    this.copies.set(mark.id, copy);
    return copy;
  }

  /** The copy of that id and number; of the other copy of the call this server knows only that this one did not run here. */
  find({ id, copy }: TiedMark): ServedCopy | 'duplicate' | undefined {
    const known = this.copies.get(id);
    return known === undefined || known.mark.copy === copy ? known : 'duplicate';
  }

  /** In the order in which they came, so the oldest is first. */
  private sweep(now: number): void {
    for (const [id, copy] of this.copies) {
      if (this.copies.size < mostCopies && !(now - copy.enteredAt > ttlMs)) return;
      this.copies.delete(id);
    }
  }
}
