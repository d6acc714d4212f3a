import type { Endpoint } from '../core/endpoint.js';

/** An endpoint was taken out of the picks, or came back. */
export interface Ejection {
  /** Which endpoint. */
  readonly endpoint: Endpoint;
  /** Whether it is out now. */
  readonly ejected: boolean;
  /**
   * Why. Out: `run` (failures in a row), `ratio` (too many failures). In: `probe` (a trial call was answered), `panic`
   * (it answered while everybody was used), `ceiling` (the set became too small for so many to be out).
   */
  readonly reason: 'run' | 'ratio' | 'probe' | 'panic' | 'ceiling';
  /** When, on the clock's scale; milliseconds. */
  readonly now: number;
}

/** Options of {@link outlierEjection}. */
export interface OutlierEjectionOptions {
  /**
   * Failures in a row that eject; a whole number, 1 or more. More are needed while the others fail as well: the run
   * has to be one that chance would not produce once in ten thousand at their rate. A larger value lets a dead
   * endpoint fail more calls.
   *
   * @defaultValue `5`
   */
  readonly consecutiveFailures?: number | undefined;
  /**
   * Part of the calls in the window that eject if they fail; above 0, at most 1. And only if the others clearly fail
   * less. At a fifth, one retry still hides nearly all of it from callers; above, the retry budget is what pays. A
   * larger value tolerates worse endpoints.
   *
   * @defaultValue `0.2`
   */
  readonly failureRatio?: number | undefined;
  /**
   * Calls in the window before `failureRatio` counts; a whole number, 1 or more. A larger value judges later and
   * more surely.
   *
   * @defaultValue `20`
   */
  readonly minRequests?: number | undefined;
  /**
   * Length of the window; milliseconds, above 0. Also the time in service that lives down one ejection. A larger
   * value remembers longer.
   *
   * @defaultValue `10000`
   */
  readonly windowMs?: number | undefined;
  /**
   * How long the first ejection lasts, doubled by each further one; milliseconds, above 0. Then one call tries the
   * endpoint. A larger value sends fewer calls to an endpoint that stays bad and comes back later to one that
   * recovered.
   *
   * @defaultValue `3000`
   */
  readonly baseEjectionMs?: number | undefined;
  /**
   * Longest ejection; milliseconds, at least `baseEjectionMs`. Also how long a trial call may stay without an answer
   * before another is sent.
   *
   * @defaultValue `60000`
   */
  readonly maxEjectionMs?: number | undefined;
  /**
   * Part of the set that may be out at once, rounded down; 0 to 1. All of them never are. A larger value trusts the
   * few that are left to carry everything.
   *
   * @defaultValue `0.7`
   */
  readonly maxEjectedRatio?: number | undefined;
  /**
   * With fewer than this part of the set well, nobody is passed over: ejection has then lost its point; 0 to 1. An
   * endpoint is well if it is in and not in a run of failures. A larger value gives up sooner.
   *
   * @defaultValue `0.3`
   */
  readonly panicRatio?: number | undefined;
  /**
   * Told of each ejection and return. What it throws is dropped.
   *
   * @defaultValue `undefined`, nobody is told
   */
  readonly onEjection?: ((ejection: Ejection) => void) | undefined;
}

/** Defaults of {@link OutlierEjectionOptions}. */
export const outlierEjectionDefaults = {
  consecutiveFailures: 5,
  failureRatio: 0.2,
  minRequests: 20,
  windowMs: 10_000,
  baseEjectionMs: 3000,
  maxEjectionMs: 60_000,
  maxEjectedRatio: 0.7,
  panicRatio: 0.3,
  /** Nobody is told. */
  onEjection: undefined as ((ejection: Ejection) => void) | undefined,
};
