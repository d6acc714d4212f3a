import { type Clock, systemClock } from '../core/clock.js';
import { aboutOption } from '../core/in-name-of.js';
import { type Bounds, checkNumber, resolveOptions } from '../core/options.js';
import { nodeBacklogHost } from './backlog-host.js';

/** Options of {@link dispatchQueue}. */
export interface DispatchQueueOptions {
  /**
   * Longest that a call may be expected to wait before its handler starts, in milliseconds; above 0. Who would wait longer
   * is refused when he comes. One that is given is kept to; the default is stretched where calls take long, see
   * `leastCalls`. A larger value refuses fewer in bursts and makes those that are served wait longer under overload, the
   * slowest of a hundred for about twice as long. No effect while less is asked for than the thread can do.
   *
   * @defaultValue `40`
   */
  readonly budgetMs?: number | undefined;
  /**
   * The budget is never shorter than so many average calls take; a whole number, 1 or more. With eight, who comes at 0.6 of
   * what the thread can do is hardly ever refused, however long calls take; with one, every second or third who has to
   * wait is, once calls take as long as the budget. A larger value refuses fewer and makes others wait longer. No effect
   * where so many calls take less than `budgetMs`.
   *
   * @defaultValue `8`; 1 where a `budgetMs` is given, so that it is kept to
   */
  readonly leastCalls?: number | undefined;
  /**
   * So many times the budget is allowed as long as a priority and those above it ask for less than the thread can do, so
   * that what waits is a burst that passes; 1 or more. With 4, a priority that asks for nine tenths of the thread all
   * the time loses hardly a call, and waits for up to 160 ms at times.
   *
   * @defaultValue `1.25`
   */
  readonly burstRatio?: number | undefined;
  /**
   * Share of the thread's time that is due to each priority whatever waits above it, from 0 to 0.5; 0 lets the higher
   * starve the lower. A larger value costs the higher that much under overload.
   *
   * @defaultValue `0.02`
   */
  readonly minShareRatio?: number | undefined;
  /**
   * Operations that may not have all of the queue, each with the share of the budget that it may have, above 0 and up to
   * 1: `{ 'GET /reports': 0.2 }`. One call of each may always wait. No effect while nobody waits.
   *
   * @defaultValue `{}`
   */
  readonly partitions?: Readonly<Record<string, number>> | undefined;
  /**
   * Most calls that wait, whatever they cost; a whole number, 1 or more. It bounds the memory where calls cost next to
   * nothing, as a rule the budget is reached long before.
   *
   * @defaultValue `4096`
   */
  readonly maxQueued?: number | undefined;
  /**
   * How long handlers may occupy the thread in one turn of the event loop before the others wait for the next, in
   * milliseconds; 0 or more. Told by the clock before and after each, so a handler that takes longer is the only one of its
   * turn. A larger value saves turns, about 2 µs each; a smaller one lets refusals, cancellations and other work in sooner.
   *
   * @defaultValue `1`
   */
  readonly sliceMs?: number | undefined;
  /**
   * Whether the number of calls that run at once is limited when they keep taking longer and no more of them are answered,
   * though the thread is not busy: what they wait for answers only so many at a time. `false` where calls are meant to
   * wait for each other.
   *
   * @defaultValue `true`
   */
  readonly startLimit?: boolean | undefined;
  /**
   * Told when refusing starts, at the first refusal, and when it is over: nobody was refused for a second, as found at the
   * next call or snapshot. What it throws, or rejects with, is dropped.
   *
   * @defaultValue `undefined`
   */
  readonly onTransition?: ((shedding: boolean, now: number) => void) | undefined;
  /**
   * Told of each call that is refused, be it early, when it comes, or when it has to make room: for meters. What it throws
   * is dropped.
   *
   * @defaultValue `undefined`
   */
  readonly onRefuse?: ((now: number, priority: number) => void) | undefined;
  /**
   * Runs a function when the loop has turned, that is when everything that is readable has been read.
   *
   * @defaultValue `nextTurn`: `setImmediate`, or a timer of 0 ms where there is none
   */
  readonly turn?: ((run: () => void) => void) | undefined;
  /**
   * How long this thread was busy since ever, in milliseconds; `NaN` for unknown. From it the queue learns what handlers
   * cost after their first `await`. Unknown, only the time while calls wait tells.
   *
   * @defaultValue `loopBusyMs`: the time at which the event loop did not sleep, on Node
   */
  readonly busyMs?: (() => number) | undefined;
  /**
   * How many events the loop has taken since ever; `NaN` for unknown. A loop takes one new connection in a turn, so the
   * queue lets it turn until there is nothing new, at most for as long as the handler before took. Unknown, it turns once.
   *
   * @defaultValue `loopEvents`: what libuv counts, on Node 20.18, 22.8 and later
   */
  readonly events?: (() => number) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

interface Immediate {
  readonly setImmediate?: (run: () => void) => unknown;
}

/** Read at call time, so that fake timers work. */
function nextTurn(run: () => void): void {
  const { setImmediate } = globalThis as Immediate;
  if (setImmediate === undefined) globalThis.setTimeout(run, 0);
  else setImmediate(run);
}

function loopBusyMs(): number {
  const idleMs = nodeBacklogHost.idleMs();
  return idleMs === undefined ? Number.NaN : nodeBacklogHost.now() - idleMs;
}

function loopEvents(): number {
  return nodeBacklogHost.events()?.events ?? Number.NaN;
}

/** Defaults of {@link DispatchQueueOptions}. */
export const dispatchQueueDefaults = {
  budgetMs: 40,
  leastCalls: 8,
  burstRatio: 1.25,
  minShareRatio: 0.02,
  partitions: {},
  maxQueued: 4096,
  sliceMs: 1,
  startLimit: true,
  onTransition: undefined,
  onRefuse: undefined,
  /** That of the platform. */
  turn: nextTurn,
  /** What the platform tells. */
  busyMs: loopBusyMs,
  /** What the platform tells. */
  events: loopEvents,
  clock: systemClock,
} as const satisfies DispatchQueueOptions;

/** @internal All options, checked. */
export type DispatchSettings = {
  readonly [Field in keyof DispatchQueueOptions]-?: Field extends 'onTransition' | 'onRefuse'
    ? DispatchQueueOptions[Field]
    : NonNullable<DispatchQueueOptions[Field]>;
};

const bounds: Bounds<DispatchSettings> = {
  budgetMs: { above: 0 },
  leastCalls: { min: 1, integer: true },
  burstRatio: { min: 1 },
  minShareRatio: { min: 0, max: 0.5 },
  maxQueued: { min: 1, integer: true },
  sliceMs: { min: 0 },
};

/** @internal */
export function dispatchSettings(options: DispatchQueueOptions | undefined): DispatchSettings {
  const settings = resolveOptions<DispatchSettings>('dispatchQueue', dispatchQueueDefaults, options, bounds);
  const { partitions } = settings;
  if (typeof partitions !== 'object' || partitions === null)
    throw aboutOption(new TypeError(`dispatchQueue.partitions must be an object, got ${String(partitions)}`));
  for (const [operation, share] of Object.entries(partitions))
    checkNumber(`dispatchQueue.partitions[${JSON.stringify(operation)}]`, share, { above: 0, max: 1 });
  for (const hook of ['onTransition', 'onRefuse'] as const)
    if (settings[hook] !== undefined && typeof settings[hook] !== 'function')
      throw aboutOption(new TypeError(`dispatchQueue.${hook} must be a function`));
  // Whoever says how long calls may wait is not to be given eight calls, whatever those take.
  const isOwn = options?.budgetMs !== undefined && options.leastCalls === undefined;
  return isOwn ? { ...settings, leastCalls: 1 } : settings;
}
