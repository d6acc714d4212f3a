import type { ServerLoad } from '../core/outcome.js';
import type { BacklogMeter } from './backlog.js';

/** What a {@link loadReport} is made from. */
export interface LoadReportParts {
  /** Tells what waits for the thread: a `backlogMeter()`. */
  readonly meter: Pick<BacklogMeter, 'snapshot'>;
  /**
   * A `loadSignal()`, for CPU and throttling: what is told as CPU is the highest of all that it watches.
   *
   * @defaultValue none: nothing is told of the CPU
   */
  readonly signal?: { readonly value: number } | undefined;
  /**
   * Share of the calls of default priority that was let in lately, of whoever refuses them past the meter's gates: a
   * dispatch queue. The lower of this and the meter's own is told.
   *
   * @defaultValue none
   */
  readonly admitted?: (() => number | undefined) | undefined;
}

/** Tells the load of this process at a time: the same object while that is the same millisecond. */
export type LoadReport = (now: number) => ServerLoad;

/** For so long a report holds, in milliseconds: what is told with each answer must cost next to nothing. */
const freshMs = 1;

/** Three decimals: what is written is meant to be short. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

type Open = { -readonly [Field in keyof ServerLoad]: ServerLoad[Field] };

/**
 * Makes what a server tells of its load with each answer, out of its meters.
 *
 * @example
 * ```ts
 * const report = loadReport({ meter, signal: loadSignal() });
 * response.setHeader('x-keelson-load', formatLoad(report(performance.now())));
 * ```
 */
export function loadReport({ meter, signal, admitted }: LoadReportParts): LoadReport {
  let madeAt = Number.NaN;
  let latest: ServerLoad = {};
  return (now) => {
    const age = now - madeAt;
    if (age >= 0 && age < freshMs) return latest;
    madeAt = now;
    const { backlogMs, serviceMs, inflight, perSecond, errorsPerSecond, admitRatio } = meter.snapshot(now);
    const load: Open = { inflight, backlogMs: round(backlogMs) };
    const cpu = signal?.value;
    if (cpu !== undefined && cpu >= 0) load.cpuRatio = round(Math.min(1, cpu));
    if (serviceMs !== undefined) load.serviceMs = round(serviceMs);
    load.perSecond = round(perSecond);
    load.errorsPerSecond = round(errorsPerSecond);
    const share = Math.min(admitRatio ?? 1, admitted?.() ?? 1);
    if (share < 1) load.admitRatio = round(Math.max(0, share));
    latest = load;
    return latest;
  };
}
