// Clients that take a `fetch` (ky, ofetch, the OpenAI SDK and its kin) are given a governed one. Of two replicas of each
// service one is broken: no client hears of it. Their own retries are switched off, for attempts would multiply.
//
// expect: ky: 20 of 20 answered by Ada
// expect: ofetch: 20 of 20 answered by Ada
// expect: openai: 20 of 20 answered: hello
// expect: tried again elsewhere: true
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { createApp } from 'keelson';
import ky from 'ky';
import { createFetch } from 'ofetch';
import OpenAI from 'openai';

async function serve(status, body) {
  const server = http.createServer((req, res) => {
    if (status >= 500) broken++;
    req.resume();
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  servers.push(server);
  return `http://127.0.0.1:${/** @type {any} */ (server.address()).port}`;
}
const servers = [];
let broken = 0;
const completion = { choices: [{ message: { role: 'assistant', content: 'hello' } }] };

const app = createApp({
  service: 'cli',
  endpoints: {
    users: [await serve(200, { name: 'Ada' }), await serve(500, {})],
    models: [await serve(200, completion), await serve(500, {})],
  },
});

const users = app.fetch('users');
const withKy = ky.create({ prefixUrl: 'http://users', fetch: users, retry: 0 });
const withOfetch = createFetch({ fetch: users }).create({ baseURL: 'http://users', retry: 0 });
const openai = new OpenAI({
  apiKey: 'none',
  baseURL: 'http://models/v1',
  fetch: app.fetch('models', { timeoutMs: 60_000 }),
  maxRetries: 0,
});

/** @param {(i: number) => Promise<string>} ask */
async function twenty(ask) {
  const answers = [];
  for (let i = 0; i < 20; i++) answers.push(await ask(i));
  return `${answers.length} of 20 answered${[...new Set(answers)].join(', ')}`;
}
console.log(`ky: ${await twenty(async (i) => ` by ${(await withKy(`users/${i}`).json()).name}`)}`);
console.log(`ofetch: ${await twenty(async (i) => ` by ${(await withOfetch(`/users/${i}`)).name}`)}`);

// A POST is sent twice only if the caller says that it may be.
const say = async () => {
  const { choices } = await openai.chat.completions.create(
    { model: 'tiny', messages: [{ role: 'user', content: 'hello?' }] },
    { headers: { 'idempotency-key': randomUUID() } },
  );
  return `: ${choices[0]?.message.content}`;
};
console.log(`openai: ${await twenty(say)}`);

console.log(`tried again elsewhere: ${broken > 0}`);
assert.ok(broken > 0);
await app.stop();
for (const server of servers) server.close();
