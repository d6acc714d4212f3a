/** A value that needs no quotes. */
const bare = /^[\w.:/@+[\]-]+$/;

function show(value: string | number | boolean): string {
  const text = String(value);
  // In JSON's quotes no value can break the line or pass for another field.
  return bare.test(text) ? text : JSON.stringify(text);
}

/** One event as one line of `name=value` pairs, for people and for log collectors alike. */
export function logLine(
  wallMs: number,
  event: string,
  fields: Readonly<Record<string, string | number | boolean>>,
): string {
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${show(value)}`);
  return `time=${new Date(wallMs).toISOString()} event=${event}${pairs.join('')}`;
}
