// One limit for several processes: 100 calls a second for each tenant, whoever they reach. Needs a redis-server, which it
// starts by itself; without one it says so and shows nothing.
//
// expect: /in \d\.\d s 3 processes let pass \d+ of \d+ calls of acme, within the limit|NO redis-server ON THIS MACHINE/
// expect: /zeta has a limit of its own: passed|NOTHING WAS SHOWN/
// seconds: 30
import assert from 'node:assert/strict';
import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { sharedRate } from 'keelson/redis';

const perSecond = 100;
const connect = (port) => new Redis(Number(port), '127.0.0.1').on('error', () => undefined);
// In a service: `app.listener(handler, { key: tenantOf, use: [perTenant] })`. Here without one, by `admit`.
// Patient with Redis, for the machine may be busy with other things.
const limitOver = (redis) =>
  sharedRate({ redis, name: 'api', perSecond, by: 'key', processes: 3, timeoutMs: 1000 });

// One of the processes that share the limit: asks ten times as often as may pass.
async function caller(port) {
  const redis = connect(port);
  const perTenant = limitOver(redis);
  await redis.ping();
  const counts = { asked: 0, passed: 0, startedAt: Date.now(), endedAt: 0 };
  while (Date.now() < counts.startedAt + 2000) {
    counts.asked++;
    perTenant.admit({ key: 'acme' }).then(
      () => counts.passed++,
      () => undefined,
    );
    await sleep(3);
  }
  await perTenant.close();
  counts.endedAt = Date.now();
  process.send?.(counts);
  redis.disconnect();
  process.disconnect();
}

async function main() {
  if (spawnSync('redis-server', ['--version']).error) {
    console.log('NO redis-server ON THIS MACHINE: install Redis to see this example. NOTHING WAS SHOWN');
    return;
  }
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = /** @type {any} */ (probe.address());
  await once(probe.close(), 'close');
  const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  process.once('exit', () => server.kill('SIGKILL'));
  const redis = connect(port);
  await redis.ping();

  const file = fileURLToPath(import.meta.url);
  const callers = Array.from({ length: 3 }, () => fork(file, [String(port)]));
  const counts = await Promise.all(callers.map(async (one) => (await once(one, 'message'))[0]));
  const sum = (field) => counts.reduce((total, count) => total + count[field], 0);
  const from = Math.min(...counts.map(({ startedAt }) => startedAt));
  const seconds = (Math.max(...counts.map(({ endedAt }) => endedAt)) - from) / 1000;

  const perTenant = limitOver(redis);
  const [passed, asked] = [sum('passed'), sum('asked')];
  // A burst of one second's worth, and what was taken in advance: 0.2 s at the very most.
  assert.ok(passed <= perSecond * (1 + seconds + 0.2) && passed >= perSecond, `${passed} in ${seconds} s`);
  console.log(
    `in ${seconds.toFixed(1)} s 3 processes let pass ${passed} of ${asked} calls of acme, within the limit`,
  );
  await perTenant.admit({ key: 'zeta' });
  console.log('zeta has a limit of its own: passed');
  await perTenant.close();
  redis.disconnect();
  server.kill();
}

const [, , port] = process.argv;
await (port === undefined ? main() : caller(port));
