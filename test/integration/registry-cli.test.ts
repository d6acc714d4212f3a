import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRegistry, type RegistryOptions, type RegistryServer } from 'keelson/registry';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Authority } from '../doubles/certificates.js';
import { freePort } from '../doubles/free-port.js';
import { monotoneServer } from '../doubles/monotone-server.js';

// The commands as a user runs them: processes of their own, from the build, against servers of this one.

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'dist', 'esm', 'cli', 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'keelson-ask-'));
const patience = { timeout: 15_000 };

const running: RegistryServer[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
  for (const registry of running.splice(0)) await registry.close();
});
beforeAll(() => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run "npm run build" first`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @param terminal - whether its output is one, for which `script` of util-linux makes it think so */
function keelson(args: readonly string[], { env = {}, terminal = false } = {}) {
  const line = [process.execPath, main, 'registry', ...args];
  const quoted = line.map((part) => `'${part.replaceAll("'", "'\\''")}'`).join(' ');
  const [program = '', ...rest] = terminal ? ['script', '-qec', quoted, '/dev/null'] : line;
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...env },
  });
  children.push(child);
  const said = { out: '', err: '' };
  for (const [name, stream] of [
    ['out', child.stdout],
    ['err', child.stderr],
  ] as const)
    stream.on('data', (chunk) => {
      said[name] += chunk;
    });
  const done = once(child, 'close').then(([code]) => ({ code, ...said }));
  return { child, said, done };
}

async function start(options: RegistryOptions = {}) {
  const registry = createRegistry({ listen: '127.0.0.1:0', env: 'e', zone: 'z', ...options });
  running.push(registry);
  const { url, port } = await registry.listen();
  const put = (hostname: string, more: Record<string, string> = {}) =>
    registry.ask(
      'POST',
      '/discovery/register',
      new URLSearchParams({
        ...{ zone: 'z', env: 'e', appid: 'users', hostname, status: '1', version: 'v1' },
        ...{ addrs: `http://${hostname}:80`, metadata: '{"weight":"5"}', ...more },
      }),
    );
  return { registry, url, port, put };
}

describe('keelson registry', () => {
  it('has a help of its own for each command', async () => {
    const commands = ['nodes', 'ls', 'watch', 'set', 'cancel'];
    const ends = await Promise.all(
      commands.map((command, at) => keelson([command, at % 2 === 0 ? '-h' : '--help']).done),
    );
    for (const [at, { code, out, err }] of ends.entries()) {
      const command = commands[at];
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(
        new RegExp(`^Usage: keelson registry ${command}[\\s\\S]*--token-file[\\s\\S]*Exit code`),
      );
    }
  });

  it('says so when whoever reaches it may write', async () => {
    const { child, said, done } = keelson(['--listen', '0.0.0.0:0', '--quiet']);
    await vi.waitFor(() => expect(said.err).not.toBe(''), 10_000);
    child.kill('SIGTERM');
    expect(await done).toMatchObject({
      code: 0,
      err: 'keelson registry: whoever reaches 0.0.0.0:0 may write, since there is no --token-file and no --tls-ca\n',
    });
  });

  it('refuses what it does not take in one line', async () => {
    const wrong: [string[], string][] = [
      [['ls', '--colour'], "keelson registry ls: Unknown option '--colour' (see keelson registry ls --help)"],
      [['nodes', 'extra'], "keelson registry nodes: Unexpected argument 'extra'"],
      [['ls', '--url', 'ftp://x'], 'keelson registry ls: --url takes a URL such as'],
      [['ls', '--url', 'http://u:p@x'], 'keelson registry ls: --url takes a URL such as'],
      [['ls', '--token-file', 'nowhere'], 'keelson registry ls: --token-file nowhere cannot be read'],
      [['ls', '--tls-ca', 'nowhere'], 'keelson registry ls: --tls-ca nowhere cannot be read'],
      [['--snapshot', 'nowhere/list.json'], 'keelson registry: --snapshot: there is no folder nowhere'],
      [['--scheduler-dir', 'nowhere'], 'keelson registry: --scheduler-dir: there is no folder nowhere'],
      [['watch'], 'keelson registry watch: the app is missing'],
      [['set'], 'keelson registry set: the app is missing'],
      [['set', 'a'], 'keelson registry set: a hostname is missing'],
      [['set', 'a', 'h'], 'keelson registry set: nothing to set'],
      [
        ['set', 'a', 'h', '--status', 'down'],
        'keelson registry set: --status takes up or waiting, got "down"',
      ],
      [['set', 'a', 'h', '--metadata', '=x'], 'keelson registry set: --metadata takes key=value, got "=x"'],
      [['cancel', 'a'], 'keelson registry cancel: a hostname is missing'],
      [['--tls-cert', 'x'], 'keelson registry: tls needs cert and key'],
      [['--rate-limit', 'fast'], 'keelson registry: --rate-limit takes a whole number'],
      [['--scheduler-dir', ''], 'keelson registry: schedulers must not be empty'],
    ];
    const ends = await Promise.all(wrong.map(([args]) => keelson(args).done));
    for (const [at, { code, out, err }] of ends.entries()) {
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err.slice(0, wrong[at]?.[1].length)).toBe(wrong[at]?.[1]);
      expect(err.trimEnd()).not.toContain('\n');
    }
  });

  it('says which line of a file of tokens it cannot read, and not what is in it', async () => {
    const file = join(folder, 'bad');
    for (const [content, message] of [
      [
        'ops first-token-of-some-length\nsecret-without-a-name\n',
        'line 2 is not a name of its own and a token',
      ],
      ['a token-of-sixteen-1\na token-of-sixteen-2\n', 'line 2 is not a name of its own'],
      ['# nothing\n\n', 'is empty'],
      ['short\n', 'token must have 16 characters or more'],
    ] as const) {
      writeFileSync(file, content);
      const { code, err } = await keelson(['--listen', '127.0.0.1:0', '--token-file', file]).done;
      expect(code).toBe(2);
      expect(err).toContain(message);
      expect(err).not.toMatch(/secret|first-token/);
    }
  });
});

describe('asking a registry', () => {
  it('lists instances and nodes, for programs and for people', async () => {
    const { url, port, put } = await start();
    await put('h2', { status: '2', metadata: '{}' });
    await put('h1');
    await put('h1', { appid: 'orders', env: 'uat', zone: 'z9', version: '' });
    const [all, filtered, json, nodes, people] = await Promise.all([
      keelson(['ls', '--url', url]).done,
      keelson(['ls', 'users', '--env', 'e', '--zone', 'z'], { env: { KEELSON_REGISTRY_URL: url } }).done,
      keelson(['ls', 'users', '--json', '--url', `${url}/`]).done,
      keelson(['nodes', '--url', url]).done,
      keelson(['ls', 'users', '--url', url], { terminal: true }).done,
    ]);
    const users = [
      'users\te\tz\th1\tup\tv1\thttp://h1:80\tweight=5',
      'users\te\tz\th2\twaiting\tv1\thttp://h2:80\t',
    ];
    expect(all).toMatchObject({ code: 0, err: '' });
    expect(all.out.split('\n').filter((line) => !line.startsWith('infra.discovery'))).toEqual([
      'orders\tuat\tz9\th1\tup\t\thttp://h1:80\tweight=5',
      ...users,
      '',
    ]);
    expect(filtered.out).toBe(`${users.join('\n')}\n`);
    expect(json.out).toMatch(/"latest_timestamp":\d{19}\}/);
    expect(JSON.parse(json.out)).toMatchObject([
      { hostname: 'h1', status: 1 },
      { hostname: 'h2', status: 2 },
    ]);
    expect(nodes.out).toBe(`127.0.0.1:${port}\tz\tup\n`);
    expect(people.out.replaceAll('\r', '').split('\n').slice(0, 3)).toEqual([
      'APP    ENV  ZONE  HOSTNAME  STATUS   VERSION  ADDRESSES     METADATA',
      'users  e    z     h1        up       v1       http://h1:80  weight=5',
      'users  e    z     h2        waiting  v1       http://h2:80',
    ]);
  });

  it('changes and cancels instances, and says with which it failed', async () => {
    const { registry, url, put } = await start();
    for (const hostname of ['h1', 'h2', 'h3']) await put(hostname);
    const env = { KEELSON_REGISTRY_URL: url, DEPLOY_ENV: 'e', ZONE: 'z' };
    const labels = ['--metadata', 'color=red=ish', '--metadata', '__proto__=x'];
    const set = await keelson(['set', 'users', 'h1', 'h2', '--status', 'waiting', ...labels], { env }).done;
    expect(set).toEqual({ code: 0, out: 'changed users h1\nchanged users h2\n', err: '' });
    const { body } = await registry.ask('GET', '/discovery/fetch/all', new URLSearchParams());
    const metadata = '"metadata":{"weight":"5","color":"red=ish","__proto__":"x"},"status":2';
    expect(body.split(metadata)).toHaveLength(3);
    const gone = await keelson(['cancel', 'users', 'h1', 'none', 'h3'], { env }).done;
    expect(gone).toEqual({
      code: 1,
      out: 'cancelled users h1\ncancelled users h3\n',
      err: `keelson registry cancel: none: ${url} answers -404: there is no such instance\n`,
    });
    const json = await keelson(['cancel', 'users', 'h2', '--json'], { env }).done;
    expect(JSON.parse(json.out)).toEqual({ env: 'e', zone: 'z', appid: 'users', hostname: 'h2', code: 0 });
    expect(registry.stats().instances).toBe(0);
    const refused = await keelson(['set', 'users', 'h1', '--status', 'up'], { env }).done;
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('answers -400: hostname: number 1 of them is not registered');
  });

  it('watches: what there is, what comes, changes and goes, until it is interrupted', async () => {
    const { registry, url, put } = await start();
    await put('h1');
    const lists = keelson(['watch', 'users', 'none', '--env', 'e', '--url', url]);
    const json = keelson(['watch', 'users', '--env', 'e', '--url', url, '--json']);
    const row = (hostname: string, version = 'v1') =>
      `users\te\tz\t${hostname}\tup\t${version}\thttp://${hostname}:80\tweight=5`;
    const expected = [`+\t${row('h1')}`];
    const shown = () =>
      vi.waitFor(() => expect(lists.said.out.trimEnd().split('\n')).toEqual(expected), patience);
    await shown();
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(2), patience);
    await put('h2');
    expected.push(`+\t${row('h2')}`);
    await shown();
    await put('h2', { version: 'v2' });
    expected.push(`~\t${row('h2', 'v2')}`);
    await shown();
    await registry.ask(
      'POST',
      '/discovery/cancel',
      new URLSearchParams({ env: 'e', zone: 'z', appid: 'users', hostname: 'h1' }),
    );
    expected.push(`-\t${row('h1')}`);
    await shown();
    await vi.waitFor(
      () => expect(json.said.out.trimEnd().split('\n').length).toBeGreaterThanOrEqual(2),
      patience,
    );
    for (const { child } of [lists, json]) child.kill('SIGINT');
    expect(await lists.done).toMatchObject({ code: 0, err: '' });
    const { code, out } = await json.done;
    expect(code).toBe(0);
    for (const line of out.trimEnd().split('\n'))
      expect(JSON.parse(line)).toMatchObject({
        env: 'e',
        appid: 'users',
        instances: expect.arrayContaining([expect.objectContaining({ zone: 'z' })]),
      });
  });

  it('goes on watching when the registry comes back', async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    const { registry, url, put } = await start({ listen });
    await put('h1');
    const { child, said, done } = keelson(['watch', 'users', '--env', 'e', '--url', url]);
    await vi.waitFor(() => expect(said.out).toContain('\th1\t'), patience);
    await registry.close();
    await vi.waitFor(() => expect(said.err).toContain('trying again'), patience);
    const again = await start({ listen });
    await again.put('h2');
    await vi.waitFor(() => expect(said.out).toMatch(/-\tusers.*\th1\t.*\n\+\tusers.*\th2\t/), patience);
    expect(said.err.trimEnd().split('\n').at(-1)).toBe('keelson registry watch: it answers again');
    child.kill('SIGTERM');
    expect((await done).code).toBe(0);
  });

  it('shows its token, and speaks TLS', async () => {
    const authority = new Authority();
    try {
      const [server, client] = [authority.issue('registry'), authority.issue('ops')];
      const token = 'a-token-of-24-characters';
      const file = join(folder, 'tokens');
      writeFileSync(file, `# who may\nops ${token}\nother other-token-of-some-length\n`);
      const args = ['--tls-cert', server.cert, '--tls-key', server.key, '--tls-ca', authority.ca];
      const served = keelson(['--listen', '127.0.0.1:0', '--token-file', file, ...args]);
      await vi.waitFor(() => expect(served.said.out).toContain('event=listening'), patience);
      const url = `https://${/address=(\S+)/.exec(served.said.out)?.[1]}`;
      const certificate = ['--tls-cert', client.cert, '--tls-key', client.key];
      const ask = ['cancel', 'a', 'h', '--url', url, '--tls-ca', authority.ca];
      const [right, byVariable, without, bare, distrusted] = await Promise.all([
        keelson([...ask, ...certificate, '--token-file', file]).done,
        keelson([...ask, ...certificate], { env: { KEELSON_REGISTRY_TOKEN: token } }).done,
        keelson([...ask, ...certificate]).done,
        keelson([...ask, '--token-file', file]).done,
        keelson(['nodes', '--url', url]).done,
      ]);
      expect(right.err).toContain('answers -404');
      expect(byVariable.err).toContain('answers -404');
      expect(without.err).toContain('answers -401');
      expect(bare).toMatchObject({ code: 1, out: '' });
      expect(distrusted).toMatchObject({ code: 1, out: '' });
      await vi.waitFor(
        () => expect(served.said.out).toContain('event=refused write=cancel code=-404'),
        patience,
      );
      expect(served.said.out).toMatch(/token=ops certificate="?O=Example,CN=ops/);
      served.child.kill('SIGTERM');
      expect((await served.done).code).toBe(0);
    } finally {
      authority.remove();
    }
  });

  it('is told in one line when nobody answers, or something else does', async () => {
    const strange = await monotoneServer('<h1>It works</h1>');
    const hostile = await monotoneServer(
      '{"code":0,"data":{"\\u001b[2Ja":[{"appid":"\\u001b]0;x\\u0007a","hostname":"h\\nfake","status":{"a":1},"addrs":7},7]}}',
    );
    try {
      const nobody = await keelson(['ls', '--url', 'http://127.0.0.1:1']).done;
      expect(nobody).toMatchObject({ code: 1, out: '' });
      expect(nobody.err).toMatch(/^keelson registry ls: http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*\n$/);
      const { code, err } = await keelson(['watch', 'a', '--url', strange.url]).done;
      expect({ code, err }).toEqual({
        code: 1,
        err: `keelson registry watch: ${strange.url}: that is no registry: it answers something else\n`,
      });
      const shown = await keelson(['ls', '--url', hostile.url]).done;
      expect(shown).toEqual({ code: 0, out: '?]0;x?a\t\t\th?fake\t\t\t7\t\n', err: '' });
    } finally {
      await Promise.all([strange.stop(), hostile.stop()]);
    }
  });
});
