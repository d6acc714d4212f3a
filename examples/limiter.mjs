// Two limiters alone: calls in flight, and calls per second of each tenant.
//
// expect: in flight: 2 ran, 3 refused (OVERLOADED)
// expect: acme: 5 passed, then wait
// expect: zeta: passed
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, keyed } from 'keelson/core';
import { concurrency, rate } from 'keelson/limiter';

const pool = concurrency({ limit: 2 });
const codes = await Promise.all(
  Array.from({ length: 5 }, () =>
    attempt(pool, () => sleep(20)).then(
      () => 'ran',
      (error) => error.code,
    ),
  ),
);
const ran = codes.filter((code) => code === 'ran').length;
console.log(`in flight: ${ran} ran, ${5 - ran} refused (${codes.at(-1)})`);

const perTenant = keyed(() => rate({ perSecond: 1, burst: 5 }), { by: 'key', maxKeys: 10_000 });
const call = (key) => attempt(perTenant, () => 'ok', { key });
let passed = 0;
for (;;) {
  try {
    await call('acme');
    passed++;
  } catch (error) {
    console.log(`acme: ${passed} passed, then wait ${Math.round(error.retryAfterMs)} ms`);
    break;
  }
}
await call('zeta');
console.log('zeta: passed');
