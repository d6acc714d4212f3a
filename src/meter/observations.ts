import type {
  Attributes,
  BatchObservableCallback,
  BatchObservableResult,
  Observable,
  ObservableCallback,
  ObservableResult,
} from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import type { ObservedSeries, ObservedStream } from './observed-stream.js';
import type { StreamHost } from './stream.js';

/** An instrument that is asked. */
export class ObservableInstrument implements Observable {
  constructor(
    readonly stream: ObservedStream,
    private readonly callbacks: Callbacks,
  ) {}

  addCallback(callback: ObservableCallback): void {
    this.callbacks.add({ callback, single: this, instruments: new Set([this]) });
  }

  removeCallback(callback: ObservableCallback): void {
    this.callbacks.remove(callback, new Set([this]));
  }
}

/** A callback, and what it may observe. */
export type Registration =
  | {
      readonly callback: ObservableCallback;
      readonly single: ObservableInstrument;
      readonly instruments: ReadonlySet<ObservableInstrument>;
    }
  | {
      readonly callback: BatchObservableCallback;
      readonly single: undefined;
      readonly instruments: ReadonlySet<ObservableInstrument>;
    };

/** What one callback has observed in one round. Counts once the callback has come to its end in time. */
class Observations implements ObservableResult {
  private readonly series: ObservedSeries[] = [];
  private readonly streams: ObservedStream[] = [];
  private readonly values: number[] = [];
  private open = true;

  constructor(private readonly registration: Registration) {}

  /** What a batch callback is given: its measurements say which instrument they are of. */
  get batch(): BatchObservableResult {
    return { observe: (metric, value, attributes) => this.put(metric, value, attributes) };
  }

  observe(value: number, attributes?: Attributes): void {
    this.put(this.registration.single, value, attributes);
  }

  apply(): void {
    if (!this.open) return;
    this.open = false;
    for (const [at, stream] of this.streams.entries())
      stream.observe(this.series[at] as ObservedSeries, this.values[at] as number);
  }

  /** @returns whether it was open until now */
  close(): boolean {
    const wasOpen = this.open;
    this.open = false;
    return wasOpen;
  }

  private put(instrument: Observable | undefined, value: number, attributes: Attributes | undefined): void {
    const own = instrument as ObservableInstrument;
    // Late, or of an instrument that the callback was not registered for.
    if (!this.open || !this.registration.instruments.has(own)) return;
    this.series.push(own.stream.seriesOf(attributes));
    this.streams.push(own.stream);
    this.values.push(value);
  }
}

/** One callback that is called in each round, unless it has not come back from an earlier one. */
class Callback {
  private running: Observations | undefined = undefined;

  constructor(
    readonly registration: Registration,
    private readonly host: StreamHost,
  ) {}

  /** @returns a promise, which never rejects, if the callback gave one */
  ask(): Promise<void> | undefined {
    if (this.running !== undefined) {
      this.late();
      return undefined;
    }
    const observations = new Observations(this.registration);
    let answer: unknown;
    try {
      const { registration } = this;
      answer =
        registration.single === undefined
          ? registration.callback(observations.batch)
          : registration.callback(observations);
    } catch (error) {
      this.failed(observations, error);
      return undefined;
    }
    if (!isThenable(answer)) {
      observations.apply();
      return undefined;
    }
    this.running = observations;
    // Through a promise of our own: somebody else's `then` may throw, or call both.
    return Promise.resolve(answer).then(
      () => {
        this.running = undefined;
        observations.apply();
      },
      (error: unknown) => {
        this.running = undefined;
        this.failed(observations, error);
      },
    );
  }

  /** The round ends without it, if it is still under way. */
  giveUp(): void {
    if (this.running?.close()) this.late();
  }

  private late(): void {
    this.host.lose(
      'callback_timeout',
      `a callback of ${this.names()} does not come back in time; what it observes is left out`,
    );
  }

  private failed(observations: Observations, error: unknown): void {
    observations.close();
    this.host.lose(
      'callback_failed',
      `a callback of ${this.names()} failed, what it observed is left out: ${told(error)}`,
    );
  }

  private names(): string {
    return [...this.registration.instruments].map(({ stream }) => stream.identity.name).join(', ');
  }
}

function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  try {
    return typeof (answer as PromiseLike<unknown> | undefined)?.then === 'function';
  } catch {
    return false;
  }
}

/** The kind of an error, not its message: that one may be another each time, and is told each time. */
function told(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function sameSet(some: ReadonlySet<unknown>, others: ReadonlySet<unknown>): boolean {
  return some.size === others.size && [...some].every((one) => others.has(one));
}

/** The callbacks of all observable instruments. */
export class Callbacks {
  private readonly all: Callback[] = [];

  /** @param timeoutMs - how long a round waits for callbacks that give a promise */
  constructor(
    private readonly host: StreamHost,
    private readonly timeoutMs: number,
  ) {}

  /** Does nothing when it is there already, or is no function. */
  add(registration: Registration): void {
    const { callback, instruments } = registration;
    if (typeof callback !== 'function') {
      this.host.notices.once('an observable instrument was given a callback that is no function');
      return;
    }
    if (this.find(callback, instruments) < 0) this.all.push(new Callback(registration, this.host));
  }

  remove(callback: unknown, instruments: ReadonlySet<ObservableInstrument>): void {
    const at = this.find(callback, instruments);
    if (at >= 0) this.all.splice(at, 1);
  }

  /** Asks them all at the same time, and waits so long at most. Never rejects. */
  async ask(): Promise<void> {
    const asked = [...this.all];
    const answers = asked.map((callback) => callback.ask()).filter((answer) => answer !== undefined);
    if (answers.length === 0) return;
    await inTime(this.host.clock, this.timeoutMs, Promise.all(answers));
    for (const callback of asked) callback.giveUp();
  }

  private find(callback: unknown, instruments: ReadonlySet<ObservableInstrument>): number {
    return this.all.findIndex(
      ({ registration }) =>
        registration.callback === callback && sameSet(registration.instruments, instruments),
    );
  }
}

/** Waits for a promise, so long at most. */
function inTime(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, resolve);
    // What is collected at the end of a process must not be lost for want of anything else that holds it.
    timer.hold?.(true);
    void work.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
