function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The segments that a value may stand for: a wildcard of Express 5 is a list of them, one of Express 4 a text with slashes. */
function runsOf(value: unknown): readonly (readonly string[])[] {
  if (Array.isArray(value)) return [value.map(String)];
  if (typeof value !== 'string' || value === '') return [];
  return value.includes('/') ? [[value], value.split('/')] : [[value]];
}

function placeholder(name: string, count: number): string {
  return count > 1 || /^\d+$/.test(name) ? '*' : `:${name}`;
}

/** Where the segments stand, one after the other. */
function indexOfRun(segments: readonly string[], run: readonly string[]): number {
  for (let at = 0; at + run.length <= segments.length; at++) {
    if (run.every((segment, index) => segments[at + index] === segment)) return at;
  }
  return -1;
}

function replace(segments: string[], name: string, value: unknown): void {
  for (const run of runsOf(value)) {
    const at = indexOfRun(segments, run);
    if (at < 0) continue;
    segments.splice(at, run.length, placeholder(name, run.length));
    return;
  }
  if (typeof value !== 'string' || value === '') return;
  // Part of a segment: `v2` by `version: '2'` is `v:version`.
  const at = segments.findIndex((segment) => segment.includes(value));
  if (at >= 0) segments[at] = (segments[at] as string).replace(value, () => `:${name}`);
}

/**
 * The template of the path by which a router was reached: Express tells what its parameters matched, and not the
 * template itself. `/tenants/acme` by `{ tenant: 'acme' }` is `/tenants/:tenant`.
 *
 * A literal segment that reads like the value of a parameter may be taken for it; such segments are few.
 */
export function mountTemplate(path: string, params: unknown): string {
  const found = Object.entries((params ?? {}) as Record<string, unknown>);
  if (found.length === 0) return path;
  const segments = path.split('/').map(decoded);
  for (const [name, value] of found) replace(segments, name, value);
  return segments.join('/');
}
