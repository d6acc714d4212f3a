/** Whether a call was given up by its caller. Costs nothing on a call that nobody aborts. */
export interface Cancellation {
  /** Whether it happened. */
  readonly aborted: boolean;
  /** What the caller said, once aborted. */
  readonly reason: unknown;
  /**
   * Runs a function once when the call is aborted; at once, synchronously, if it already was.
   *
   * @returns what takes the function back
   */
  onAbort(run: () => void): () => void;
  /** The same as an `AbortSignal`, made at the first read: an AbortController costs microseconds. */
  readonly signal: AbortSignal;
}

const nothing = (): void => undefined;

/** The cancellation of a call that cannot be aborted. */
export const uncancelled: Cancellation = {
  aborted: false,
  reason: undefined,
  onAbort: () => nothing,
  // A fresh one for each reader: listeners on one that all share would never be let go.
  get signal() {
    return new AbortController().signal;
  },
};

/** A cancellation that whoever holds it can trigger; it also follows its parent. */
export interface CancelSource extends Cancellation {
  /** Aborts with a reason. Only the first call counts. */
  abort(reason: unknown): void;
  /** Lets go of the parent. To be called when the work is over, or a long-lived parent gathers listeners. */
  dispose(): void;
}

/** One who waits to be told; an entry of its own even for a function that is given twice. */
class Listener {
  after: Listener | undefined = undefined;
  private waits = true;

  constructor(
    private readonly source: Source,
    readonly run: () => void,
    public before: Listener | undefined,
  ) {}

  leave(): void {
    if (!this.waits) return;
    this.waits = false;
    const { source, before, after } = this;
    if (before === undefined) source.first = after;
    else before.after = after;
    if (after === undefined) source.last = before;
    else after.before = before;
    // Whoever holds what takes this one back would hold all that came after it, each with its call.
    this.before = undefined;
    this.after = undefined;
  }
}

class Source implements CancelSource {
  aborted = false;
  reason: unknown = undefined;
  // A chain and no Set: most calls have one listener, and making a Set costs more than all that is done with it.
  /** @internal */ first: Listener | undefined = undefined;
  /** @internal */ last: Listener | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private readonly unlink: () => void = nothing;

  constructor(parent: Cancellation) {
    this.unlink = parent === uncancelled ? nothing : parent.onAbort(() => this.abort(parent.reason));
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort(this.reason);
    }
    return this.controller.signal;
  }

  onAbort(run: () => void): () => void {
    if (this.aborted) {
      run();
      return nothing;
    }
    const { last } = this;
    const listener = new Listener(this, run, last);
    if (last === undefined) this.first = listener;
    else last.after = listener;
    this.last = listener;
    return () => listener.leave();
  }

  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    // As the platform does, so that a rejection with the reason is always an error, and the same one as the signal's.
    this.reason =
      reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason;
    this.unlink();
    this.controller?.abort(this.reason);
    // From the front each time: one listener may take another back while they are being told.
    for (let listener = this.first; listener !== undefined; listener = this.first) {
      listener.leave();
      runSafely(listener.run);
    }
  }

  dispose(): void {
    this.unlink();
  }
}

/** One listener that throws must not keep the abort from the others; an abort has nobody to report to. */
function runSafely(run: () => void): void {
  try {
    run();
  } catch {
    // See above.
  }
}

/**
 * Makes a cancellation that can be triggered.
 *
 * @param parent - when it aborts, so does this one, with the same reason
 */
export function cancelSource(parent: Cancellation = uncancelled): CancelSource {
  return new Source(parent);
}

/**
 * An `AbortSignal` with one listener on it however many calls follow it: adding one costs a microsecond, and the
 * platform warns of a leak when a signal has more than ten.
 */
class FromSignal implements Cancellation {
  private readonly listeners = new Set<() => void>();
  constructor(readonly signal: AbortSignal) {}
  get aborted(): boolean {
    return this.signal.aborted;
  }
  get reason(): unknown {
    return this.signal.reason;
  }
  onAbort(run: () => void): () => void {
    if (this.signal.aborted) {
      run();
      return nothing;
    }
    const entry = (): void => run();
    if (this.listeners.size === 0) this.signal.addEventListener('abort', this.tell, { once: true });
    this.listeners.add(entry);
    return () => {
      if (this.listeners.delete(entry) && this.listeners.size === 0)
        this.signal.removeEventListener('abort', this.tell);
    };
  }
  private readonly tell = (): void => {
    // The set itself, not a copy: one listener may take another back while they are being told.
    for (const run of this.listeners) {
      this.listeners.delete(run);
      runSafely(run);
    }
  };
}

const bySignal = new WeakMap<AbortSignal, Cancellation>();

/** The cancellation that an `AbortSignal` stands for; without a signal, {@link uncancelled}. */
export function cancelledBy(signal: AbortSignal | null | undefined): Cancellation {
  if (!signal) return uncancelled;
  let cancel = bySignal.get(signal);
  if (cancel === undefined) {
    cancel = new FromSignal(signal);
    bySignal.set(signal, cancel);
  }
  return cancel;
}
