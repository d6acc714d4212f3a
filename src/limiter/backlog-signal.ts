import { resolveOptions, wrongKind } from '../core/options.js';
import type { LoadReading } from './bbr-options.js';

/** Options of {@link backlogSignal}. */
export interface BacklogSignalOptions {
  /**
   * Backlog that counts as load 1; milliseconds, above 0. A larger value lets calls wait for longer before anybody is
   * refused.
   *
   * @defaultValue `40`
   */
  readonly budgetMs?: number | undefined;
  /**
   * Another signal that counts too, with what the backlog does not see: a `loadSignal()` with the CPU of the container.
   * The higher of the two counts.
   *
   * @defaultValue none
   */
  readonly or?: { readonly value: number } | undefined;
}

/** Defaults of {@link BacklogSignalOptions}. */
export const backlogSignalDefaults = { budgetMs: 40, or: undefined } as const;

interface Settings {
  readonly budgetMs: number;
  readonly or: { readonly value: number } | undefined;
}

/**
 * Says how loaded this thread is by how long calls wait for it: 0 for not at all, 1 for as long as is allowed, more beyond
 * that. For `bbr`, which with this one refuses within milliseconds of a step and knows how far it went, where a busy loop
 * reads 1 at any overload.
 *
 * @param meter - a `backlogMeter()` that was started
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const limiter = bbr({ load: backlogSignal(meter, { budgetMs: 40, or: loadSignal }) });
 * ```
 */
export function backlogSignal(
  meter: { readonly backlogMs: number },
  options?: BacklogSignalOptions,
): LoadReading {
  if (typeof meter !== 'object' || meter === null || !('backlogMs' in meter))
    throw wrongKind('backlogSignal: the first argument', 'a backlogMeter()', meter);
  const { budgetMs, or } = resolveOptions<Settings>('backlogSignal', backlogSignalDefaults, options, {
    budgetMs: { above: 0 },
  });
  if (or !== undefined && (typeof or !== 'object' || or === null || !('value' in or)))
    throw wrongKind('backlogSignal.or', 'a signal with a value, such as loadSignal() makes', or);
  return {
    get value() {
      const waiting = meter.backlogMs / budgetMs;
      const other = or?.value ?? 0;
      return other > waiting ? other : waiting;
    },
    get waiting() {
      return meter.backlogMs / budgetMs;
    },
  };
}
