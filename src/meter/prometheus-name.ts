/** Units of UCUM, as Prometheus writes them. */
const words: ReadonlyMap<string, string> = new Map([
  ['d', 'days'],
  ['h', 'hours'],
  ['min', 'minutes'],
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['us', 'microseconds'],
  ['ns', 'nanoseconds'],
  ['By', 'bytes'],
  ['KiBy', 'kibibytes'],
  ['MiBy', 'mebibytes'],
  ['GiBy', 'gibibytes'],
  ['TiBy', 'tibibytes'],
  ['kBy', 'kilobytes'],
  ['KBy', 'kilobytes'],
  ['MBy', 'megabytes'],
  ['GBy', 'gigabytes'],
  ['TBy', 'terabytes'],
  ['bit', 'bits'],
  ['m', 'meters'],
  ['V', 'volts'],
  ['A', 'amperes'],
  ['J', 'joules'],
  ['W', 'watts'],
  ['g', 'grams'],
  ['Cel', 'celsius'],
  ['Hz', 'hertz'],
  ['%', 'percent'],
]);

/** The same behind a slash. */
const rates: ReadonlyMap<string, string> = new Map([
  ['s', 'second'],
  ['min', 'minute'],
  ['m', 'minute'],
  ['h', 'hour'],
  ['d', 'day'],
  ['w', 'week'],
  ['mo', 'month'],
  ['y', 'year'],
]);

/** What may not stand in a name, and runs of underscores, become one underscore. */
function plain(name: string, pattern: RegExp): string {
  const replaced = name.replace(pattern, '_');
  return /^\d/.test(replaced) ? `_${replaced}` : replaced;
}

/** The name of a label. */
export function labelName(key: string): string {
  return plain(key, /[^a-zA-Z\d]+/g);
}

function wordOf(unit: string): string {
  return words.get(unit) ?? plain(unit, /[^a-zA-Z\d]+/g).replace(/^_+|_+$/g, '');
}

/** What a unit adds to a name; empty for none, for annotations such as `{request}`, and for a `1` that is no ratio. */
function unitWord(unit: string, gauge: boolean): string {
  const bare = unit.replace(/\{[^}]*\}/g, '').trim();
  if (bare === '1') return gauge ? 'ratio' : '';
  const slash = bare.indexOf('/');
  if (slash < 0) return wordOf(bare);
  const below = bare.slice(slash + 1).trim();
  const rate = rates.get(below) ?? wordOf(below);
  return [wordOf(bare.slice(0, slash).trim()), rate === '' ? '' : `per_${rate}`]
    .filter((word) => word !== '')
    .join('_');
}

/** How an instrument is called in text. */
export interface FamilyName {
  /** With its unit, without the `_total` of counters. */
  readonly name: string;
  /** For the metadata: what the name ends with; empty if it does not end with the unit. */
  readonly unit: string;
}

/**
 * Translates the name of an instrument.
 *
 * @param type - as Prometheus calls it
 *
 * Source: OpenTelemetry specification, "Prometheus and OpenMetrics compatibility"; a unit of `1` is a ratio of gauges only,
 * as in the Collector.
 */
export function familyName(name: string, unit: string, type: 'counter' | 'gauge' | 'histogram'): FamilyName {
  const word = unitWord(unit, type === 'gauge');
  let base = plain(name, /[^a-zA-Z\d:]+/g).replace(/_+$/, '');
  if (type === 'counter') base = base.replace(/_total$/, '');
  if (word !== '' && !`_${base}_`.includes(`_${word}_`)) base = `${base}_${word}`;
  return { name: base, unit: word !== '' && base.endsWith(`_${word}`) ? word : '' };
}
