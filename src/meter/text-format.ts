import type { TextFormat } from './prometheus-text.js';

/** Content types of the formats. */
export const contentTypes: Readonly<Record<TextFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** Longest header that is looked at. */
const longest = 4096;

interface Range {
  readonly media: string;
  readonly version: string | undefined;
  readonly quality: number;
}

function rangeOf(text: string): Range {
  const [media = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  let version: string | undefined;
  let quality = 1;
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=').map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
    if (name === 'version') version = value;
    // What is no quality asks for nothing special.
    if (name === 'q' && /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(value)) quality = Number(value);
  }
  return { media, version, quality };
}

/** How specific a range is about a format; 0 if it is about something else. */
function specificity({ media, version }: Range, format: TextFormat): number {
  const [own, versions] =
    format === 'openmetrics' ? ['application/openmetrics-text', '1.0.0'] : ['text/plain', '0.0.4'];
  if (media === own) return version === undefined || version === versions ? 3 : 0;
  if (media === own.replace(/\/.*/, '/*')) return 2;
  return media === '*/*' ? 1 : 0;
}

/** The quality that the most specific range gives to a format. */
function qualityOf(ranges: readonly Range[], format: TextFormat): number {
  let best = 0;
  let quality = 0;
  for (const range of ranges) {
    const specific = specificity(range, format);
    if (specific <= best) continue;
    best = specific;
    quality = range.quality;
  }
  return quality;
}

/**
 * Chooses the format by what a client accepts: OpenMetrics if it asks for that by name and no less than for the other.
 * Whoever accepts neither gets the older one, as from other libraries: a person with a browser, or a probe.
 *
 * @param accept - the header as received
 *
 * Source: RFC 9110, section 12.5.1. Versions of OpenMetrics before 1.0.0 are not offered.
 */
export function textFormat(accept: string | undefined): TextFormat {
  if (accept === undefined || accept.length > longest) return 'prometheus';
  const ranges = accept.split(',').map(rangeOf);
  // By a wildcard alone nobody asks for exemplars.
  if (!ranges.some((range) => specificity(range, 'openmetrics') === 3)) return 'prometheus';
  const open = qualityOf(ranges, 'openmetrics');
  return open > 0 && open >= qualityOf(ranges, 'prometheus') ? 'openmetrics' : 'prometheus';
}
