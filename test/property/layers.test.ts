import fc from 'fast-check';
import { compose, createCall, guard, type Middleware, type Protocol } from 'keelson/core';
import { deadline } from 'keelson/deadline';
import { concurrency } from 'keelson/limiter';
import { retry } from 'keelson/retry';
import { manualClock, type ScriptStep, scriptedHandler } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

// Layers of ours that follow each other directly pass a call on without a promise between them; with a middleware of the
// user's in between there is one. Nobody outside may see which way it was.

const protocol: Protocol<string, number> = {
  classify: (status, error) => (error !== undefined || (status as number) >= 500 ? 'failure' : 'success'),
  replay: (request) => request,
};

const step: fc.Arbitrary<ScriptStep<string, number>> = fc
  .record({
    afterMs: fc.constantFrom(0, 10, 60, 300),
    result: fc.constantFrom(200, 404, 500, 'reset', 'thrown'),
  })
  .map(({ afterMs, result }) =>
    typeof result === 'number'
      ? { afterMs, answer: result }
      : { afterMs, error: new Error(result), throws: result === 'thrown' },
  );

const through: Middleware<string, number> = (next) => async (request, call) => next(request, call);

/** Makes one call after the other, and says how each ended and what became of the gate and the script. */
async function told(script: readonly ScriptStep<string, number>[], apart: readonly boolean[]) {
  const clock = manualClock(0);
  const leaf = scriptedHandler<string, number>({ script, clock });
  const gate = concurrency({ limit: 2 });
  const layers = [
    deadline<string, number>({ timeoutMs: 200, clock }),
    guard<string, number>([gate], { protocol, clock }),
    retry<string, number>({ protocol, attempts: 3, baseMs: 0, clock }),
  ];
  const handler = compose(
    layers.flatMap((layer, at) => (apart[at] ? [layer, through] : [layer])),
    leaf.handler,
  );
  const ends: unknown[] = [];
  for (let calls = 0; calls < 3; calls++) {
    const call = createCall({ side: 'client', service: 's', operation: 'GET', idempotent: true });
    const end = handler('hello', call).then(
      (status) => status,
      (error: Error) => error.message,
    );
    await clock.advance(1000);
    ends.push(await end, call.attempt.number);
  }
  return { ends, tries: leaf.calls.length, inflight: gate.snapshot(clock.now()).inflight };
}

describe('layers', () => {
  it('end a call alike, with and without a promise between them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 9 }),
        fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
        async (script, apart) => {
          const joined = await told(script, [false, false, false]);
          expect(joined.inflight).toBe(0);
          expect(await told(script, apart)).toEqual(joined);
        },
      ),
      { numRuns: 200 },
    );
  });
});
