/** Which of the two text formats. */
export type TextFormat = 'prometheus' | 'openmetrics';

/** Escapes the value of a label. */
export function escaped(value: string): string {
  if (!/["\\\n]/.test(value)) return value;
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}

/** Escapes a line of help: in the older format quotes stay as they are. */
export function escapedHelp(help: string, format: TextFormat): string {
  if (format === 'openmetrics') return escaped(help);
  return help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
}

/**
 * Writes a bound as the libraries for Go do, since `sum by (le)` over services in several languages compares texts: six
 * digits before the point at most, an exponent of two digits at least, and in OpenMetrics a point in any case.
 */
export function boundText(bound: number, format: TextFormat): string {
  const [digits = '', power = '0'] = bound.toExponential().split('e');
  const exponent = Number(power);
  if (bound !== 0 && (exponent < -4 || exponent >= 6)) {
    const sign = exponent < 0 ? '-' : '+';
    return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = String(bound);
  return format === 'openmetrics' && !text.includes('.') ? `${text}.0` : text;
}

/** Seconds since 1970. */
export function secondsText(ms: number): string {
  return (ms / 1000).toFixed(3);
}
