import { type Clock, systemClock } from '../core/clock.js';
import { resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { checkLink, type LinkOptions, linkBounds, linkDefaults } from './link-options.js';
import { type SpoolOptions, type SpoolSettings, spoolSettings } from './spool-options.js';

/**
 * Prints a line where a user sees it, whatever logger there is. At once, which `process.emitWarning` does not: at the `exit` of
 * a process there is no next turn. Never throws.
 */
export function processWarning(message: string): void {
  const warning = Object.assign(new Error(message), { name: 'Warning', code: 'KEELSON_TELEMETRY' });
  try {
    process.emit('warning', warning);
  } catch {
    // Whoever hears it must not break what says it.
  }
}

/** Options of `spanExporter`, which `telemetry()` makes. */
export interface SpanExporterOptions extends LinkOptions {
  /**
   * A batch is closed at so many spans; a whole number, 1 or more. A larger value compresses better and costs less for each
   * span, and keeps spans longer.
   *
   * @defaultValue `512`
   */
  readonly batchSpans?: number | undefined;
  /**
   * A batch is closed at so many bytes, before compression; 1 or more. While the collector is away or slow, batches become
   * up to four times as large as this and `batchSpans` say. No batch is larger than an eighth of `memoryBytes`.
   *
   * @defaultValue `262144`
   */
  readonly batchBytes?: number | undefined;
  /**
   * A batch is closed so long after its first span; milliseconds, above 0. A smaller value shows spans sooner.
   *
   * @defaultValue `1000`
   */
  readonly lingerMs?: number | undefined;
  /**
   * The same while the collector is away or slow; milliseconds, `lingerMs` or more.
   *
   * @defaultValue `5000`
   */
  readonly pressedLingerMs?: number | undefined;
  /**
   * A span that is longer is cut, by leaving attributes, events and links out and counting them in it; bytes, 1024 or more.
   *
   * @defaultValue `65536`
   */
  readonly maxSpanBytes?: number | undefined;
  /**
   * Most bytes of spans in memory, whether they wait, are sent or are written; 64 KiB or more. Beyond it, and with a `spool`
   * beyond half of it, spans go to the spool, or are lost and counted as `queue_full`; all of it is used while the disk fails.
   * An eighth is kept for the batch that is being filled, which may exceed it by its last span.
   *
   * @defaultValue `16777216`
   */
  readonly memoryBytes?: number | undefined;
  /**
   * Upper end of the first wait after a failure; milliseconds, above 0. It doubles with each further one, and the wait is
   * anything up to it. A collector that says how long to stay away is believed, up to five minutes.
   *
   * @defaultValue `500`
   */
  readonly retryFirstMs?: number | undefined;
  /**
   * Upper end of all waits; milliseconds, above 0.
   *
   * @defaultValue `10000`
   */
  readonly retryMaxMs?: number | undefined;
  /**
   * How long a batch is tried before it goes to the spool, or is lost as `retry_exhausted`; milliseconds, above 0.
   *
   * @defaultValue `600000`
   */
  readonly giveUpMs?: number | undefined;
  /**
   * A folder for what the memory cannot hold, and for what could not be sent at the end.
   *
   * @defaultValue `undefined`
   */
  readonly spool?: SpoolOptions | undefined;
  /**
   * Takes one line each interval in which spans were lost, one when a collector is away for long, and what it says of spans
   * that it has taken.
   *
   * @defaultValue `processWarning`, which prints to the standard error output
   */
  readonly warn?: ((message: string) => void) | undefined;
  /**
   * Least time between two such lines of one sort; milliseconds, above 0.
   *
   * @defaultValue `60000`
   */
  readonly warnIntervalMs?: number | undefined;
  /**
   * Tells the time, and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Spreads waits.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link SpanExporterOptions}. */
export const spanExporterDefaults = {
  ...linkDefaults,
  batchSpans: 512,
  batchBytes: 262_144,
  lingerMs: 1_000,
  pressedLingerMs: 5_000,
  maxSpanBytes: 65_536,
  memoryBytes: 16_777_216,
  retryFirstMs: 500,
  retryMaxMs: 10_000,
  giveUpMs: 600_000,
  spool: undefined as SpoolOptions | undefined,
  /** Emits a `warning` of the process with the code `KEELSON_TELEMETRY`, which Node prints. */
  warn: processWarning as (message: string) => void,
  warnIntervalMs: 60_000,
  clock: systemClock as Clock,
  random: systemRandom as Random,
};

/** Ranges of {@link SpanExporterOptions}. */
export const spanExporterBounds = {
  ...linkBounds,
  batchSpans: { min: 1, integer: true },
  batchBytes: { min: 1 },
  lingerMs: { above: 0 },
  pressedLingerMs: { above: 0 },
  maxSpanBytes: { min: 1_024 },
  memoryBytes: { min: 65_536 },
  retryFirstMs: { above: 0 },
  retryMaxMs: { above: 0 },
  giveUpMs: { above: 0 },
  warnIntervalMs: { above: 0 },
} as const;

/** {@link SpanExporterOptions}, checked. */
export interface SpanExporterSettings extends Omit<typeof spanExporterDefaults, 'spool'> {
  readonly spool: SpoolSettings | undefined;
}

/** @throws TypeError or RangeError, naming the field */
export function spanExporterSettings(options: SpanExporterOptions | undefined): SpanExporterSettings {
  const owner = 'spanExporter';
  const settings = resolveOptions(owner, spanExporterDefaults, options, spanExporterBounds);
  checkLink(owner, settings);
  const { spool } = settings;
  return { ...settings, spool: spool === undefined ? undefined : spoolSettings(`${owner}.spool`, spool) };
}
