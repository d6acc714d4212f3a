/** Something that will run later, and can be told not to. */
export interface Timer {
  /** Does nothing when it already ran or was cancelled. */
  cancel(): void;
  /** Whether the process must not end before it ran. Left out: the platform cannot, or need not, be told. */
  hold?(holds: boolean): void;
}

/** Only for what must wait, and for whoever tells the time: a policy never has one. */
export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  now(): number;
  /** Milliseconds since 1970, for registries and logs. */
  wallMs(): number;
  /** Runs a function after that many milliseconds. Does not hold the process, unless its timer is told to. */
  after(ms: number, run: () => void): Timer;
}

/** Longest delay that the platform's timers take; a longer one is waited for in pieces. */
const longestMs = 2 ** 31 - 1;

/** What Node's timers can do, and those of browsers cannot. */
interface Refable {
  ref?(): void;
  unref?(): void;
}

function arm(ms: number, run: () => void): Timer {
  let handle: ReturnType<typeof setTimeout>;
  let holding = false;
  const hold = (holds: boolean): void => {
    holding = holds;
    if (holds) (handle as Refable).ref?.();
    else (handle as Refable).unref?.();
  };
  const start = (left: number): void => {
    const step = Math.min(left, longestMs);
    handle = globalThis.setTimeout(() => (left > step ? start(left - step) : run()), step);
    if (!holding) (handle as Refable).unref?.();
  };
  start(Math.max(0, ms));
  return { cancel: () => globalThis.clearTimeout(handle), hold };
}

/**
 * What fake timers replace, by which they are known: `performance` itself is a getter that costs more than the time it
 * gives. Who fakes nothing but `performance` is not seen.
 */
const genuine = { Date: globalThis.Date, setTimeout: globalThis.setTimeout };
let read: (() => number) | undefined;

function now(): number {
  if (globalThis.Date !== genuine.Date || globalThis.setTimeout !== genuine.setTimeout)
    return globalThis.performance.now();
  read ??= globalThis.performance.now.bind(globalThis.performance);
  return read();
}

/** The platform's clock, read at call time so that fake timers work. */
export const systemClock: Clock = {
  now,
  wallMs: () => globalThis.Date.now(),
  after: arm,
};
