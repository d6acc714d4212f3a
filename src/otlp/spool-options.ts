import { resolveOptions, wrongKind } from '../core/options.js';

/** Options of the disk spool. */
export interface SpoolOptions {
  /**
   * Where the files are; made when it is not there. One that cannot be used is told of at the start, and tried again whenever
   * something is to be written: until then batches stay in memory. Processes that export to the same collector may share it:
   * what one of them leaves behind the others send.
   */
  readonly folder: string;
  /**
   * Most bytes of all files together, each in whole blocks of 4 KiB; 1 MiB or more. Beyond it the oldest are dropped and
   * counted. With several processes in one folder it may be exceeded for half a minute, by what the others have just written.
   *
   * @defaultValue `67108864`
   */
  readonly maxBytes?: number | undefined;
  /**
   * How old a file may become; milliseconds, above 0. Older ones are dropped and counted. A wall clock that is set makes none
   * older that this process has already seen.
   *
   * @defaultValue `86400000`
   */
  readonly maxAgeMs?: number | undefined;
  /**
   * How fast files are sent when the collector is back, beside new spans; bytes per second as they are on the disk, above 0.
   *
   * @defaultValue `1048576`
   */
  readonly replayBytesPerSecond?: number | undefined;
}

/** Defaults of {@link SpoolOptions}. */
export const spoolDefaults = {
  folder: '',
  maxBytes: 67_108_864,
  maxAgeMs: 86_400_000,
  replayBytesPerSecond: 1_048_576,
};

/** Ranges of {@link SpoolOptions}. */
export const spoolBounds = {
  maxBytes: { min: 1_048_576 },
  maxAgeMs: { above: 0 },
  replayBytesPerSecond: { above: 0 },
} as const;

/** {@link SpoolOptions}, checked. */
export type SpoolSettings = typeof spoolDefaults;

/** @throws TypeError or RangeError, naming the field */
export function spoolSettings(owner: string, options: SpoolOptions): SpoolSettings {
  const settings = resolveOptions(owner, spoolDefaults, options, spoolBounds);
  if (typeof settings.folder !== 'string' || settings.folder === '')
    throw wrongKind(`${owner}.folder`, 'the path of a folder', settings.folder);
  return settings;
}
