import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

// The program as a user runs it: a process of its own, from the build.

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'dist', 'esm', 'cli', 'main.js');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});
beforeAll(() => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run "npm run build" first`);
});

function keelson(args: readonly string[], { script = main, env = {} as Record<string, string> } = {}) {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...env },
  });
  children.push(child);
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    said.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.err += chunk;
  });
  const done = once(child, 'close').then(([code, signal]) => ({ code, signal, ...said }));
  return { child, said, done };
}

async function registry(args: readonly string[] = [], env?: Record<string, string>) {
  const running = keelson(['registry', '--listen', '127.0.0.1:0', ...args], env && { env });
  await vi.waitFor(() => expect(running.said.out).toMatch(/event=listening/), { timeout: 15_000 });
  const address = /address=(\S+)/.exec(running.said.out)?.[1];
  return { ...running, url: `http://${address}` };
}

describe('keelson', () => {
  it.each([
    [['--version'], new RegExp(`^${version.replaceAll('.', '\\.')}\n$`)],
    [['--help'], /^Usage: keelson <command>[\s\S]*registry/],
    [['registry', '--help'], /^Usage: keelson registry[\s\S]*--peers[\s\S]*--protect-min-instances/],
  ])('%j', async (args, output) => {
    const { code, out, err } = await keelson(args).done;
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(output);
  });

  it('knows its version also through the link that package managers make, and in the CommonJS build', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-cli-'));
    try {
      symlinkSync(main, join(folder, 'keelson'));
      for (const script of [join(folder, 'keelson'), join(root, 'dist', 'cjs', 'cli', 'main.js')])
        expect((await keelson(['--version'], { script }).done).out).toBe(`${version}\n`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    [[], 'keelson: a command is missing (see keelson --help)'],
    [['registrar'], 'keelson: there is no command "registrar" (see keelson --help)'],
    [['--verbose'], 'keelson: there is no option "--verbose" (see keelson --help)'],
    [['registry', '--colour'], "keelson registry: Unknown option '--colour' (see keelson registry --help)"],
    [['registry', 'extra'], "keelson registry: Unexpected argument 'extra'"],
    [['registry', '--listen'], "keelson registry: Option '--listen <value>' argument missing"],
    [['registry', '--listen', 'nowhere'], 'keelson registry: listen must be host:port'],
    [['registry', '--listen', '127.0.0.1:99999'], 'keelson registry: listen must be host:port'],
    [['registry', '--advertise', 'http://a'], 'keelson registry: advertise must be'],
    [['registry', '--zone', ''], 'keelson registry: zone must not be empty'],
    [['registry', '--snapshot', ''], 'keelson registry: snapshot must not be empty'],
    [
      ['registry', '--peers', 'http://a:1'],
      'keelson registry: peers must each be host:port or zone=host:port',
    ],
    [['registry', '--peers', 'a:1,=b:1'], 'keelson registry: peers must each be host:port or zone=host:port'],
    [['registry', '--protect-min-instances', 'ten'], 'keelson registry: --protect-min-instances takes'],
    [['registry', '--max-instances', '0'], 'keelson registry: limits.instances must be'],
  ])('%j is refused in one line', async (args, line) => {
    const { code, out, err } = await keelson(args).done;
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.startsWith(line), err).toBe(true);
    expect(err.trimEnd()).not.toContain('\n');
  });
});

describe('keelson registry', () => {
  it('listens, takes registrations, logs them, and ends on SIGTERM with every poll answered', async () => {
    const { child, said, done, url } = await registry(['--zone', 'z1', '--env', 'prod', '--region', 'r 1']);
    expect(said.out).toMatch(
      /^time=\S+ event=listening address=127\.0\.0\.1:\d+ region="r 1" zone=z1 env=prod\n$/,
    );
    const body = new URLSearchParams({
      zone: 'z1',
      env: 'prod',
      appid: 'users',
      hostname: 'h"1',
      status: '1',
      addrs: 'http://127.0.0.1:1',
    });
    const registered = await fetch(`${url}/discovery/register`, { method: 'POST', body });
    expect(await registered.json()).toEqual({ code: 0, message: '0', ttl: 1 });
    const found = await fetch(`${url}/discovery/fetch?env=prod&appid=users&status=1`);
    expect(await found.json()).toMatchObject({ code: 0, data: { instances: { z1: [{ hostname: 'h"1' }] } } });
    const poll = fetch(
      `${url}/discovery/polls?env=prod&appid=users&latest_timestamp=9000000000000000000&hostname=p`,
    );
    // Nothing tells from outside that a poll waits: a few turns of the wire later it has been read.
    for (let round = 0; round < 10; round++) await fetch(`${url}/healthz`);
    child.kill('SIGTERM');
    expect(await (await poll).json()).toMatchObject({ code: -500 });
    const { code, signal, out, err } = await done;
    expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
    expect(out).toContain('event=registered env=prod appid=users zone=z1 hostname="h\\"1" outcome=added');
    expect(out.trimEnd().split('\n').slice(-2)).toEqual([
      expect.stringMatching(/event=closing parkedPolls=1$/),
      expect.stringMatching(/event=closed$/),
    ]);
  });

  it('says that its port is in use, and exits with 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, out, err } = await keelson(['registry', '--listen', `127.0.0.1:${port}`]).done;
    other.close();
    expect({ code, out, err }).toEqual({
      code: 1,
      out: '',
      err: `keelson registry: 127.0.0.1:${port} is in use\n`,
    });
  });

  it('ends at once on a second signal', async () => {
    const { child, said, done, url } = await registry();
    const stuck = await import('node:net').then(({ connect }) =>
      connect(Number(new URL(url).port), '127.0.0.1'),
    );
    stuck.on('error', () => undefined);
    stuck.write(
      'POST /discovery/renew HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n',
    );
    await once(stuck, 'data');
    child.kill('SIGINT');
    await vi.waitFor(() => expect(said.out).toContain('event=closing'), { timeout: 15_000 });
    child.kill('SIGTERM');
    const { code, out } = await done;
    expect(code).toBe(143);
    expect(out).not.toContain('event=closed');
    stuck.destroy();
  });

  it('takes from the environment what the command line leaves open, and can be quiet', async () => {
    const variables = {
      ZONE: 'z9',
      DEPLOY_ENV: 'uat',
      REGION: '',
      KEELSON_ADVERTISE_HOST: 'registry.example',
    };
    const { child, done, url } = await registry(['--env', 'dev', '--quiet'], variables);
    const found = await fetch(`${url}/discovery/fetch?env=any&appid=infra.discovery&status=1`);
    const { data } = (await found.json()) as { data: { instances: unknown } };
    const addrs = [expect.stringMatching(/^http:\/\/registry\.example:\d+$/)];
    expect(data.instances).toMatchObject({ z9: [{ env: 'dev', region: 'default', addrs }] });
    child.kill('SIGINT');
    const { code, out } = await done;
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toHaveLength(1);
  });

  it('goes on when whoever read its output is gone', async () => {
    const { child, done, url } = await registry();
    child.stdout?.destroy();
    const body = new URLSearchParams({
      zone: 'z',
      env: 'e',
      appid: 'a',
      hostname: 'h',
      status: '1',
      addrs: 'x',
    });
    for (let round = 0; round < 3; round++)
      expect((await fetch(`${url}/discovery/register`, { method: 'POST', body })).status).toBe(200);
    child.kill('SIGTERM');
    expect((await done).code).toBe(0);
  });

  it('serves its last list after a kill, from the file it was given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-cli-'));
    try {
      const args = ['--snapshot', join(folder, 'list.json')];
      const first = await registry(args);
      const instance = { zone: 'z', env: 'e', appid: 'a', hostname: 'h', status: '1', addrs: 'http://h:1' };
      const body = new URLSearchParams(instance);
      await fetch(`${first.url}/discovery/register`, { method: 'POST', body });
      await vi.waitFor(() => expect(existsSync(join(folder, 'list.json'))).toBe(true), { timeout: 15_000 });
      first.child.kill('SIGKILL');
      await first.done;
      const { child, said, done, url } = await registry(args);
      expect(said.out).toContain('event=restored instances=1 skipped=0');
      const found = await fetch(`${url}/discovery/fetch?env=e&appid=a&status=1`);
      expect(await found.json()).toMatchObject({ data: { instances: { z: [{ hostname: 'h' }] } } });
      child.kill('SIGTERM');
      expect((await done).code).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is one of several, and goes on when another is killed', async () => {
    const first = await registry(['--peers', '']);
    const peer = new URL(first.url).host;
    const second = await registry(['--peers', peer]);
    const third = await registry([], { KEELSON_PEERS: peer });
    const nodes = async ({ url }: typeof first) =>
      ((await (await fetch(`${url}/discovery/nodes`)).json()) as { data?: unknown[] }).data?.length;
    await vi.waitFor(
      async () => {
        for (const one of [first, second, third]) expect(await nodes(one)).toBe(3);
      },
      { timeout: 15_000 },
    );
    first.child.kill('SIGKILL');
    await first.done;
    const instance = { zone: 'z', env: 'e', appid: 'a', hostname: 'h', status: '1', addrs: 'http://h:1' };
    const body = new URLSearchParams(instance);
    await fetch(`${second.url}/discovery/register`, { method: 'POST', body });
    await vi.waitFor(
      async () => {
        const found = await fetch(`${third.url}/discovery/fetch?env=e&appid=a&status=1`);
        expect(await found.json()).toMatchObject({ data: { instances: { z: [{ hostname: 'h' }] } } });
      },
      { timeout: 15_000 },
    );
    for (const { child, done } of [second, third]) {
      child.kill('SIGTERM');
      expect((await done).code).toBe(0);
    }
  });
});
