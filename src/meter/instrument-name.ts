const shape = /^[a-z][a-z\d_.\-/]{0,254}$/i;

/** What {@link isInstrumentName} says, for messages. */
export const instrumentNameRule = 'a letter, then letters, digits, _ . - /, at most 255 in all';

/** Whether something may be the name of an instrument. Source: OpenTelemetry specification, metrics API, "Instrument name syntax". */
export function isInstrumentName(name: unknown): name is string {
  return typeof name === 'string' && shape.test(name);
}
