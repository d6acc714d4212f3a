import fc from 'fast-check';
import { type Call, compose, createCall, type Middleware, type OperationMatch, selector } from 'keelson/core';
import { describe, expect, it } from 'vitest';

/** As a table in words: what it says must be what the compiled selector does. */
type Criterion =
  | { readonly is: 'exact' | 'prefix' | 'pattern'; readonly text: string }
  | { readonly is: 'key'; readonly text: string };
interface Rule {
  readonly match: readonly Criterion[] | undefined;
  readonly except: readonly Criterion[] | undefined;
}

const word = fc.constantFrom('a', 'b', 'ab');
const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const operation = fc.oneof(
  path,
  path.map((one) => `GET ${one}`),
  fc.constantFrom('GET', 'POST', ''),
);
const subject = fc.oneof(
  path,
  path.map((one) => `GET ${one}`),
  fc.constant('GET'),
);
const criterion: fc.Arbitrary<Criterion> = fc.oneof(
  fc.record({ is: fc.constantFrom('exact' as const, 'prefix' as const, 'pattern' as const), text: subject }),
  fc.record({ is: fc.constant('key' as const), text: word }),
);
const criteria = fc.option(fc.array(criterion, { minLength: 1, maxLength: 3 }), { nil: undefined });
const rules: fc.Arbitrary<readonly Rule[]> = fc.array(fc.record({ match: criteria, except: criteria }), {
  minLength: 1,
  maxLength: 4,
});

function compiled({ is, text }: Criterion): OperationMatch {
  if (is === 'exact') return text;
  if (is === 'prefix') return `${text}*`;
  if (is === 'pattern') return new RegExp(`${text}|${text}/.*`);
  return (call) => call.key === text;
}

/** The plain meaning, worked out anew for each call. */
function meets({ is, text }: Criterion, { operation: name, key }: Call): boolean {
  const pathOnly = name.replace(/^[A-Z]+ /, '');
  const names = text.startsWith('/') ? [name, pathOnly] : [name];
  if (is === 'exact') return names.includes(text);
  if (is === 'prefix') return names.some((one) => one.startsWith(text));
  if (is === 'pattern') return name === text || name.startsWith(`${text}/`);
  return key === text;
}

function expected(table: readonly Rule[], call: Call): number | undefined {
  const at = table.findIndex(
    ({ match, except }) =>
      (match === undefined || match.some((one) => meets(one, call))) &&
      !except?.some((one) => meets(one, call)),
  );
  return at < 0 ? undefined : at;
}

describe('a compiled selector', () => {
  it('does what its rules say, in whatever order operations come', async () => {
    const calls = fc.array(fc.record({ operation, key: fc.option(word, { nil: undefined }) }), {
      minLength: 1,
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(rules, calls, async (table, asked) => {
        const seen: (number | undefined)[] = [];
        const mark =
          (at: number): Middleware<undefined, void> =>
          (next) =>
          (request, call) => {
            seen.push(at);
            return next(request, call);
          };
        const handler = compose<undefined, void>(
          [
            selector(
              table.map(({ match, except }, at) => ({
                match: match?.map(compiled),
                except: except?.map(compiled),
                use: [mark(at)],
              })),
            ),
          ],
          async () => undefined,
        );
        for (const one of asked) {
          const call = createCall({ side: 'server', service: 's', ...one });
          seen.length = 0;
          await handler(undefined, call);
          expect(seen[0]).toBe(expected(table, call));
          expect(seen.length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 400 },
    );
  });
});
