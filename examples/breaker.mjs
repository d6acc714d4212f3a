// One breaker around anything that returns a promise. No app, no registry, no dependency.
//
// expect: the database is down: BREAKER_OPEN
// expect: rows: 1
import { setTimeout as sleep } from 'node:timers/promises';
import { threshold } from 'keelson/breaker';
import { attempt, isGovernanceError } from 'keelson/core';

let down = true;
const db = {
  async query(/** @type {string} */ _sql) {
    if (down) throw new Error('connect ECONNREFUSED');
    return [{ one: 1 }];
  },
};

const breaker = threshold({ consecutiveFailures: 3, openMs: 200 });
const select = () => attempt(breaker, () => db.query('select 1'));

for (let i = 0; i < 3; i++) await select().catch((error) => console.log(`failed: ${error.message}`));
// Now the breaker refuses without asking the database: no stack, no wait, and a code to act on.
await select().catch((error) => {
  if (isGovernanceError(error)) console.log(`the database is down: ${error.code}`);
});

down = false;
await sleep(300);
console.log(`rows: ${(await select()).length}`);
