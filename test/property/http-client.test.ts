import fc from 'fast-check';
import { formatLoad, parseLoad, parseRetryAfter, retryAfterCapMs, routeTable } from 'keelson/http';
import { describe, expect, it } from 'vitest';

describe('load header', () => {
  it('reads what it wrote', () => {
    const thousandths = (max: number) => fc.integer({ min: 0, max: max * 1000 }).map((n) => n / 1000);
    const load = fc.record(
      { cpuRatio: thousandths(1), inflight: fc.nat(1_000_000), backlogMs: thousandths(600_000) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(load, (given) => {
        expect(parseLoad(formatLoad(given))).toEqual(Object.keys(given).length === 0 ? undefined : given);
      }),
    );
  });

  it('takes anything, and gives numbers in range or nothing', () => {
    const lie = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'cpuinflghtbako=,. 0123456789e-') }),
    );
    fc.assert(
      fc.property(lie, (text) => {
        for (const value of Object.values(parseLoad(text) ?? {})) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1_000_000);
        }
      }),
    );
  });
});

describe('Retry-After', () => {
  it('takes anything, and gives a time in range or nothing', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'0123456789. ') }),
      fc.date({ noInvalidDate: true }).map((d) => d.toUTCString()),
    );
    fc.assert(
      fc.property(text, fc.option(text), fc.double(), (value, date, wall) => {
        const waitMs = parseRetryAfter(value, date, () => wall);
        if (waitMs === undefined) return;
        expect(waitMs).toBeGreaterThanOrEqual(0);
        expect(waitMs).toBeLessThanOrEqual(retryAfterCapMs);
      }),
    );
  });
});

/** The rule in its plainest form: each template on its own, in order. */
function plainly(templates: readonly string[], path: string): string | undefined {
  const parts = path.slice(1).split('/');
  const fits = (template: string) => {
    const wanted = template.slice(1).split('/');
    const rest = wanted.at(-1) === '*';
    if (rest ? parts.length < wanted.length : parts.length !== wanted.length) return false;
    return wanted.every(
      (segment, i) => segment === '*' || (segment.startsWith(':') ? parts[i] !== '' : segment === parts[i]),
    );
  };
  return templates.find(fits);
}

describe('routeTable', () => {
  const segment = fc.constantFrom('a', 'b', ':x', ':y');
  const template = fc
    .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([segments, rest]) => `/${[...segments, ...(rest ? ['*'] : [])].join('/')}`);
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 6 })
    .map((parts) => `/${parts.join('/')}`);

  it('finds the first template that fits', () => {
    fc.assert(
      fc.property(fc.array(template, { maxLength: 8 }), path, (templates, asked) => {
        const found = plainly(templates, asked);
        expect(routeTable(templates)('GET', asked)).toBe(found && `GET ${found}`);
      }),
      { numRuns: 500 },
    );
  });

  it('never throws, whatever the path', () => {
    const table = routeTable(['/a/:b', '/*']);
    fc.assert(fc.property(fc.string(), (text) => void table('GET', `/${text}`)));
  });
});
