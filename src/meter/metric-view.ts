import { aboutOption } from '../core/in-name-of.js';
import { checkChoice, resolveOptions } from '../core/options.js';
import { checkedBounds } from './bounds.js';
import { instrumentNameRule, isInstrumentName } from './instrument-name.js';

/** How histograms count. */
export type HistogramKind = 'explicit' | 'exponential';

/** What is measured otherwise than an instrument asks for. Of several views that fit, the first counts, alone. */
export interface MetricViewOptions {
  /** Name of the instruments that it is about; `*` stands for any characters. Case does not count. */
  readonly instrument: string;
  /**
   * Name of the meter, as given to `getMeter`.
   *
   * @defaultValue none: any
   */
  readonly meter?: string | undefined;
  /**
   * Leaves the instruments out altogether: they cost next to nothing then.
   *
   * @defaultValue `false`
   */
  readonly drop?: boolean | undefined;
  /**
   * What the instrument is called instead. Only for a view of a single instrument.
   *
   * @defaultValue none: as it is called
   */
  readonly name?: string | undefined;
  /**
   * What the instrument is described as instead.
   *
   * @defaultValue none: as it is described
   */
  readonly description?: string | undefined;
  /**
   * Names of the attributes that are kept; series that differ in others only become one. Exemplars keep the others.
   *
   * @defaultValue none: all are kept
   */
  readonly attributes?: readonly string[] | undefined;
  /**
   * Explicit bounds of a histogram, rising. No effect on other instruments.
   *
   * @defaultValue none: those that the instrument advises, else those of the unit
   */
  readonly bounds?: readonly number[] | undefined;
  /**
   * How a histogram counts. No effect on other instruments.
   *
   * @defaultValue none: that of `meters`
   */
  readonly histogram?: HistogramKind | undefined;
  /**
   * Most buckets of an exponential histogram, for either sign; 4 to 1 000. More are more exact and more bytes.
   *
   * @defaultValue `160`
   */
  readonly maxBuckets?: number | undefined;
  /**
   * Most series of an instrument, 2 to 1 000 000. More are more memory, and more for who collects.
   *
   * @defaultValue none: that of `meters`
   */
  readonly seriesLimit?: number | undefined;
  /**
   * Forgets series that nothing came to for that long; milliseconds, above 0. For attributes that come and go, such as
   * endpoints.
   *
   * @defaultValue none: that of `meters`
   */
  readonly idleMs?: number | undefined;
}

/** Defaults of {@link MetricViewOptions}. */
export const metricViewDefaults = {
  instrument: undefined,
  meter: undefined,
  drop: false,
  name: undefined,
  description: undefined,
  attributes: undefined,
  bounds: undefined,
  histogram: undefined,
  maxBuckets: 160,
  seriesLimit: undefined,
  idleMs: undefined,
} as const;

/** Range of a series limit: one series and that of the overflow at least. */
export const seriesLimitBound = { min: 2, max: 1_000_000, integer: true } as const;
/** Range of an idle time. */
export const idleBound = { above: 0, infinite: true } as const;

type Open = {
  readonly [Field in keyof MetricViewOptions]-?: MetricViewOptions[Field] | undefined;
};

/** {@link MetricViewOptions}, checked. */
export interface MetricView extends Omit<Open, 'attributes' | 'maxBuckets' | 'drop'> {
  readonly drop: boolean;
  readonly maxBuckets: number;
  readonly keeps: ReadonlySet<string> | undefined;
  /** Whether it is about an instrument. */
  fits(instrument: string, meter: string): boolean;
}

function wrong(field: string, what: string): TypeError {
  return aboutOption(new TypeError(`${field} must be ${what}`));
}

function patternOf(field: string, instrument: unknown): RegExp {
  if (typeof instrument !== 'string' || instrument === '')
    throw wrong(field, 'the name of an instrument, where * stands for any characters');
  const parts = instrument.split(/\*+/).map((part) => part.replace(/[\\^$.+?()[\]{}|/-]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'i');
}

/**
 * Checks the options of a view.
 *
 * @param owner - what messages begin with: `meters.views[0]`
 * @throws TypeError or RangeError
 */
export function metricView(owner: string, options: MetricViewOptions): MetricView {
  const { attributes, maxBuckets, drop, ...given } = resolveOptions<Open>(
    owner,
    metricViewDefaults,
    options,
    {
      maxBuckets: { min: 4, max: 1000, integer: true },
      seriesLimit: seriesLimitBound,
      idleMs: idleBound,
    },
  );
  const pattern = patternOf(`${owner}.instrument`, given.instrument);
  if (given.name !== undefined && !isInstrumentName(given.name))
    throw wrong(`${owner}.name`, `the name of an instrument: ${instrumentNameRule}`);
  if (given.histogram !== undefined)
    checkChoice(`${owner}.histogram`, given.histogram, ['explicit', 'exponential']);
  const bounds = given.bounds === undefined ? undefined : checkedBounds(given.bounds);
  if (given.bounds !== undefined && bounds === undefined)
    throw wrong(`${owner}.bounds`, 'a list of rising numbers');
  if (attributes !== undefined && !Array.isArray(attributes))
    throw wrong(`${owner}.attributes`, 'a list of names');
  return {
    ...given,
    bounds,
    maxBuckets: maxBuckets ?? metricViewDefaults.maxBuckets,
    drop: drop === true,
    keeps: attributes === undefined ? undefined : new Set(attributes),
    fits: (instrument, meter) =>
      (given.meter === undefined || given.meter === meter) && pattern.test(instrument),
  };
}
