import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RegistryTransport } from 'keelson/discovery';
import { createRegistry, type RegistryOptions, type RegistryServer } from 'keelson/registry';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { type TcpProxy, tcpProxy } from '../doubles/tcp-proxy.js';

// One node of bilibili/discovery and two of ours in one cluster. The program is looked for, not built: name it by
// KEELSON_BILIBILI_DISCOVERY, or put it at .cache/bilibili-discovery. Run against its commit 1e12d5c.

const program =
  process.env['KEELSON_BILIBILI_DISCOVERY'] ??
  fileURLToPath(new URL('../../.cache/bilibili-discovery', import.meta.url));
const present = existsSync(program);

const zone = 'z1';
const env = 'dev';
const id = (hostname: string, more: object = {}) => ({ env, appid: 'a', zone, hostname, ...more });
const addrs = (hostname: string) => [`http://${hostname}:80`, `grpc://${hostname}:90`];
const instance = (hostname: string, more: object = {}) =>
  id(hostname, { status: 1, addrs: addrs(hostname), version: '1', metadata: '{"k":"v"}', ...more });

async function call(port: number, method: 'GET' | 'POST', path: string, values: object = {}) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(values))
    for (const item of Array.isArray(value) ? value : [value]) form.append(name, String(item));
  const url = `http://127.0.0.1:${port}/discovery/${path}`;
  const response =
    method === 'GET' ? await fetch(`${url}?${form}`) : await fetch(url, { method, body: form });
  // biome-ignore lint/suspicious/noExplicitAny: whatever a server says
  return (await response.json()) as any;
}

describe.skipIf(!present)(
  present
    ? 'one node of the original and two of ours'
    : `SKIPPED: there is no bilibili/discovery at ${program}`,
  () => {
    let folder = '';
    const ports: number[] = [];
    const ours: (RegistryServer | undefined)[] = [];
    /** Ways that can be cut: to the original for ours, to ours for the original. It is told of no other. */
    const ways: TcpProxy[] = [];
    const address = (at: number) => `127.0.0.1:${at === 0 ? ports[0] : ways[at]?.port}`;
    let original: ChildProcess | undefined;

    /** @param elsewhere - alone in another zone, from where it tells the first of ours */
    const startOriginal = (elsewhere = false) => {
      const members = (elsewhere ? [0] : [0, 1, 2]).map((at) => `"${address(at)}"`);
      const config = [
        `nodes = [${members.join(', ')}]`,
        'enableprotect = false',
        ...(elsewhere ? [`[zones]\n"${zone}" = ["${address(1)}"]`] : []),
        `[env]\nregion = "r"\nzone = "${elsewhere ? 'z2' : zone}"\nhost = "original"\nDeployEnv = "${env}"`,
        `[httpServer]\naddr = "127.0.0.1:${ports[0]}"\ntimeout = "40s"`,
        '[httpClient]\ndial = "1s"\nkeepAlive = "120s"\ntimeout = "5s"',
        '[log]\nstdout = false',
      ].join('\n');
      writeFileSync(join(folder, 'discovery.toml'), config);
      original = spawn(program, ['-conf', folder], { stdio: 'ignore', cwd: folder, env: {} });
    };
    const stopOriginal = async (signal: NodeJS.Signals) => {
      const child = original;
      original = undefined;
      if (child === undefined || child.exitCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill(signal);
      await gone;
    };
    const transport: RegistryTransport = {
      async send({ url, method, body, headers, signal }) {
        const target = new URL(url);
        const to = ways.findIndex(({ port }) => port === Number(target.port));
        target.port = String(to > 0 ? ports[to] : ways[0]?.port);
        const form = { 'content-type': 'application/x-www-form-urlencoded' };
        const response = await fetch(target, {
          ...{ method, signal, body: body ?? null, headers: { ...headers, ...(body !== undefined && form) } },
        });
        return { status: response.status, body: await response.text() };
      },
      close: () => undefined,
    };
    const startOurs = async (at: number, more: RegistryOptions = {}, elsewhere = false) => {
      const node = createRegistry({
        ...{ listen: `127.0.0.1:${ports[at]}`, advertise: address(at), zone, env, region: 'r', transport },
        peers: ports.map((_port, of) => `${elsewhere && of === 0 ? 'z2=' : ''}${address(of)}`),
        compareIntervalMs: 300,
        peerTimeoutMs: 1_000,
        ...more,
      });
      ours[at] = node;
      await node.listen();
    };
    const listed = async (at: number, appid = 'a', status = 3) => {
      const { data } = await call(ports[at] ?? 0, 'GET', 'fetch', { env, appid, status });
      const list = Object.values(data?.instances ?? {}).flat() as Record<string, unknown>[];
      return Object.fromEntries(list.map((found) => [String(found['hostname']), found]));
    };
    const everywhere = async (check: (list: Record<string, Record<string, unknown>>) => void) => {
      await vi.waitFor(async () => {
        for (const at of [0, 1, 2]) check(await listed(at));
      }, 8_000);
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'keelson-original-'));
      for (let at = 0; at < 3; at++) {
        ports.push(await freePort());
        ways.push(await tcpProxy(() => ports[at] ?? 0));
      }
      startOriginal();
      await vi.waitFor(() => call(ports[0] ?? 0, 'GET', 'nodes'), 8_000);
      await Promise.all([startOurs(1), startOurs(2)]);
    });
    afterAll(async () => {
      for (const node of ours) await node?.close();
      await stopOriginal('SIGKILL');
      for (const way of ways) await way.close();
      rmSync(folder, { recursive: true, force: true });
    });

    it('know each other', async () => {
      await vi.waitFor(async () => {
        for (const at of [0, 1, 2]) {
          expect(Object.keys(await listed(at, 'infra.discovery'))).toHaveLength(3);
          const { data } = await call(ports[at] ?? 0, 'GET', 'nodes');
          expect(data.map(({ addr }: { addr: string }) => addr).sort()).toEqual(
            ports.map((_port, of) => address(of)).sort(),
          );
        }
      }, 8_000);
    });

    it.each([0, 1, 2])(
      'take registrations, changes and cancellations at node %i, addresses intact',
      async (at) => {
        const port = ports[at] ?? 0;
        const hostname = `h${at}`;
        expect((await call(port, 'POST', 'register', instance(hostname))).code).toBe(0);
        await everywhere((list) =>
          expect(list[hostname]).toMatchObject({ addrs: addrs(hostname), metadata: { k: 'v' }, status: 1 }),
        );
        await call(port, 'POST', 'set', id(hostname, { status: 2, metadata: '{"more":"x"}' }));
        await everywhere((list) =>
          expect(list[hostname]).toMatchObject({ status: 2, metadata: { k: 'v', more: 'x' } }),
        );
        expect((await call(port, 'POST', 'cancel', id(hostname))).code).toBe(0);
        await everywhere((list) => expect(list).not.toHaveProperty(hostname));
      },
    );

    it('repair by renewals what one of them missed', async () => {
      await call(ports[1] ?? 0, 'POST', 'register', instance('missed'));
      await everywhere((list) => expect(list).toHaveProperty('missed'));
      // Only the original forgets it, and hears of it again when it is renewed with one of ours.
      await call(ports[0] ?? 0, 'POST', 'cancel', id('missed', { replication: true, from_zone: true }));
      expect(await listed(0)).not.toHaveProperty('missed');
      await call(ports[1] ?? 0, 'POST', 'renew', id('missed'));
      await everywhere((list) => expect(list['missed']).toMatchObject({ addrs: addrs('missed') }));
      // The original knows it better, and says so.
      const { dirty_timestamp: dirty } = (await listed(0))['missed'] as { dirty_timestamp: number };
      const better = { dirty_timestamp: String(BigInt(dirty) + 60_000_000_000n), version: '2' };
      await call(ports[0] ?? 0, 'POST', 'register', instance('missed', { ...better, replication: true }));
      await call(ports[2] ?? 0, 'POST', 'renew', id('missed'));
      await everywhere((list) => expect(list['missed']).toMatchObject({ version: '2' }));
    });

    it('give everything to one of ours that was restarted empty, with its addresses mended', async () => {
      await call(ports[0] ?? 0, 'POST', 'register', instance('kept'));
      await everywhere((list) => expect(list).toHaveProperty('kept'));
      await ours[2]?.close();
      await startOurs(2);
      await everywhere((list) => expect(list['kept']).toMatchObject({ addrs: addrs('kept') }));
    });

    it('bring an original that was killed and restarted up to date, with what happened meanwhile', async () => {
      await call(ports[1] ?? 0, 'POST', 'register', instance('leaves'));
      await everywhere((list) => expect(list).toHaveProperty('leaves'));
      await stopOriginal('SIGKILL');
      expect((await call(ports[1] ?? 0, 'POST', 'cancel', id('leaves'))).code).toBe(0);
      expect((await call(ports[1] ?? 0, 'POST', 'register', instance('meanwhile'))).code).toBe(0);
      startOriginal();
      await everywhere((list) => {
        expect(list['meanwhile']).toMatchObject({ addrs: addrs('meanwhile') });
        expect(list).not.toHaveProperty('leaves');
      });
    });

    /** A process that renews at one node, and registers where it is not known. */
    const living = (home: number, hostname: string) => {
      const send = (path: string, values: object) => call(ports[home] ?? 0, 'POST', path, values);
      const renew = async () => {
        if ((await send('renew', id(hostname))).code === -404) await send('register', instance(hostname));
      };
      // The next one will do.
      const timer = setInterval(() => renew().catch(() => undefined), 300);
      return { renew, end: () => clearInterval(timer) };
    };

    it.each(['refuse', 'swallow'] as const)(
      'part (%s), take writes on both sides, and are of one mind after one renewal, or one expiry',
      async (how) => {
        for (const at of [1, 2]) await ours[at]?.close();
        // What earlier tests left behind is most of what there is, and would protect what nobody renews.
        const quick = { expiryMs: 3_000, sweepIntervalMs: 300, protectRatio: 0 };
        await Promise.all([startOurs(1, quick), startOurs(2, quick)]);
        const leaving = [living(1, 'left'), living(1, 'quit')];
        const processes = [living(0, 'here'), living(1, 'there'), ...leaving];
        try {
          await Promise.all(processes.map(({ renew }) => renew()));
          await everywhere((list) =>
            expect(Object.keys(list)).toEqual(expect.arrayContaining(['here', 'there', 'left', 'quit'])),
          );
          for (const way of ways) way.cut(how);
          const writes = [living(0, `alone-${how}`), living(2, `others-${how}`)];
          processes.push(...writes);
          await Promise.all(writes.map(({ renew }) => renew()));
          for (const { end } of leaving) end();
          // At the same time: the original answers only when it has given its peers up.
          const cancelled = await Promise.all([
            call(ports[0] ?? 0, 'POST', 'cancel', id('left')),
            call(ports[2] ?? 0, 'POST', 'cancel', id('quit')),
          ]);
          expect(cancelled.map(({ code }) => code)).toEqual([0, 0]);
          await vi.waitFor(async () => {
            expect(await listed(1)).toHaveProperty(`others-${how}`);
            expect(
              ours.map((node) =>
                node
                  ?.stats()
                  .peers.map(({ status }) => status)
                  .sort(),
              ),
            ).toEqual([undefined, ...[1, 2].map(() => ['lost', 'up'])]);
          }, 8_000);
          expect(await listed(1)).not.toHaveProperty(`alone-${how}`);
          const alone = await listed(0);
          expect(alone).not.toHaveProperty(`others-${how}`);
          expect(alone).not.toHaveProperty('left');
          expect(alone).toHaveProperty('quit');

          for (const way of ways) way.mend();
          let resurrected = false;
          await everywhere((list) =>
            expect(Object.keys(list)).toEqual(
              expect.arrayContaining(['here', 'there', `alone-${how}`, `others-${how}`]),
            ),
          );
          await vi.waitFor(async () => {
            const lists = await Promise.all([0, 1, 2].map((at) => listed(at)));
            resurrected ||= 'left' in (lists[0] ?? {});
            for (const list of lists) {
              expect(list).not.toHaveProperty('quit');
              // The original cannot tell that it was cancelled, only no longer that it is there: ours keep it for as long
              // as anybody who does not renew.
              expect(list).not.toHaveProperty('left');
            }
          }, 10_000);
          expect(resurrected).toBe(false);
        } finally {
          for (const { end } of processes) end();
          for (const way of ways) way.mend();
        }
      },
      60_000,
    );

    it('tell each other across zones, each node of a zone once told by one of them', async () => {
      for (const at of [1, 2]) await ours[at]?.close();
      await stopOriginal('SIGKILL');
      startOriginal(true);
      await vi.waitFor(() => call(ports[0] ?? 0, 'GET', 'nodes'), 8_000);
      await Promise.all([startOurs(1, {}, true), startOurs(2, {}, true)]);
      await vi.waitFor(
        () => expect(ours.map((node) => node?.stats().synced)).toEqual([undefined, true, true]),
        8_000,
      );
      await call(ports[2] ?? 0, 'POST', 'register', instance('ours'));
      const theirs = { zone: 'z2' };
      await call(ports[0] ?? 0, 'POST', 'register', instance('theirs', theirs));
      await everywhere((list) => {
        for (const hostname of ['ours', 'theirs'])
          expect(list[hostname]).toMatchObject({ addrs: addrs(hostname) });
      });
      for (const at of [0, 1]) {
        await call(ports[at] ?? 0, 'POST', 'renew', id('ours'));
        await call(ports[at] ?? 0, 'POST', 'renew', id('theirs', theirs));
      }
      // The original tells no other zone when one of theirs is cancelled with it: each where it is at home.
      await call(ports[0] ?? 0, 'POST', 'cancel', id('theirs', theirs));
      await call(ports[1] ?? 0, 'POST', 'cancel', id('ours'));
      await everywhere((list) => expect(list).toEqual({}));
    });
  },
);
