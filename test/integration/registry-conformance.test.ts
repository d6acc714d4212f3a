import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRegistry, type RegistryServer } from 'keelson/registry';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../doubles/free-port.js';

// `npm run conformance:registry`, as somebody runs it who has a server.

const root = fileURLToPath(new URL('../..', import.meta.url));
const original =
  process.env['KEELSON_BILIBILI_DISCOVERY'] ??
  fileURLToPath(new URL('../../.cache/bilibili-discovery', import.meta.url));
const present = existsSync(original);

let running: ChildProcess | undefined;
let registry: RegistryServer | undefined;
afterEach(async () => {
  // With what it started.
  if (running?.pid !== undefined && running.exitCode === null) process.kill(-running.pid, 'SIGKILL');
  await registry?.close();
  registry = undefined;
});

/** @returns its exit code, what it said, and which checks differed */
async function conformance(args: readonly string[], more: Record<string, string> = {}) {
  const { PATH = '', HOME = '' } = process.env;
  // Without those of this run: that of the script is another.
  const env = { PATH, HOME, CI: 'true', NO_COLOR: '1', KEELSON_BILIBILI_DISCOVERY: original, ...more };
  const script = fileURLToPath(new URL('../../scripts/conformance-registry.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { cwd: root, env, detached: true });
  running = child;
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  const [code] = await once(child, 'close');
  const differences = [...said.matchAll(/^ {2}- (.+?): /gm)].map(([, name]) => name);
  return { code, said, differences };
}

/** What the original does not do, of its commit 1e12d5c: all that is beyond it, and nothing else. */
const known = [
  'finds the registry under every env',
  'lets nobody else be the registry',
  'pushes an empty list when the last instance leaves, and tells those who missed it',
  'tells a change of status to those who poll, and to those who poll later',
  'changes all hosts or none',
  'tells two polls of one host apart',
  'tells apart apps whose names join to the same',
  'splits addrs at commas where another address begins',
  'takes the lists of a poll joined by commas, as old clients send them',
  'keeps numbers in metadata as their text',
  'refuses a status there is not, in words',
  'is not for pages of other origins',
  'says that it is well',
];

describe('the conformance run', () => {
  it('is passed by our own server, which differs in nothing', async () => {
    registry = createRegistry({ listen: '127.0.0.1:0', token: 'a-token-of-16-and-more' });
    const { url } = await registry.listen();
    const { code, said, differences } = await conformance([url], {
      KEELSON_REGISTRY_TOKEN: 'a-token-of-16-and-more',
    });
    expect({ code, differences }, said).toEqual({ code: 0, differences: [] });
    expect(said).toMatch(/Tests {2}\d{2,} passed \(\d+\)/);
    expect(said).not.toMatch(/skipped|Known differences/);
    // The server was asked, not one of the run's own.
    expect(registry.stats().apps).toBeGreaterThan(10);
  }, 60_000);

  it('fails with whoever speaks something else', async () => {
    registry = createRegistry({ listen: '127.0.0.1:0', token: 'a-token-of-16-and-more' });
    const { url } = await registry.listen();
    // Nothing is allowed without the token.
    expect((await conformance([url])).code).toBe(1);
  }, 60_000);

  it.each([
    ['an option', ['--help'], 'takes one URL, or "original", or nothing'],
    ['two subjects', ['http://127.0.0.1:1', 'original'], 'takes one URL, or "original", or nothing'],
    ['no URL', ['somewhere'], 'takes a URL such as http://127.0.0.1:7171, got "somewhere"'],
    ['another scheme', ['ftp://127.0.0.1'], 'takes a URL such as'],
  ])('says what it takes: not %s', async (_, args, sentence) => {
    const { code, said } = await conformance(args);
    expect(said).toContain(sentence);
    expect(code).toBe(2);
  });

  it('says that nobody answers, and that there is no original', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await conformance([url])).toMatchObject({ code: 2, said: expect.stringContaining(url) });
    const missing = { KEELSON_BILIBILI_DISCOVERY: '/nowhere/discovery' };
    expect(await conformance(['original'], missing)).toMatchObject({
      code: 2,
      said: expect.stringContaining('there is no bilibili/discovery'),
    });
  });

  it.skipIf(!present)(
    present
      ? 'finds in the original exactly the differences that are known'
      : `SKIPPED: there is no bilibili/discovery at ${original}`,
    async () => {
      const { code, said, differences } = await conformance(['original']);
      expect({ code, differences }, said).toEqual({ code: 0, differences: known });
    },
    60_000,
  );
});
