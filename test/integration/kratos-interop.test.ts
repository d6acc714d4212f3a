import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Registry, Resolution, ServiceInstance } from 'keelson/discovery';
import { etcd } from 'keelson/discovery/etcd';
import { zookeeper } from 'keelson/discovery/zookeeper';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EtcdServer, hasEtcd, startEtcd } from '../doubles/etcd-server.js';
import { hasZooKeeper, startZooKeeper, type ZooKeeperServer } from '../doubles/zookeeper-server.js';

// Needs Go, and go-kratos/kratos (v3) checked out: KEELSON_KRATOS=/path/to/kratos npx vitest run kratos-interop
const kratos = process.env['KEELSON_KRATOS'];
const patience = { timeout: 15_000, interval: 20 };
const goMod = (checkout: string): string => `module interop

go 1.25.0

require (
	github.com/go-kratos/kratos/contrib/registry/etcd/v3 v3.0.0
	github.com/go-kratos/kratos/contrib/registry/zookeeper/v3 v3.0.0
	github.com/go-kratos/kratos/v3 v3.0.0
)

replace github.com/go-kratos/kratos/v3 => ${checkout}
replace github.com/go-kratos/kratos/contrib/registry/etcd/v3 => ${checkout}/contrib/registry/etcd
replace github.com/go-kratos/kratos/contrib/registry/zookeeper/v3 => ${checkout}/contrib/registry/zookeeper
`;

const instance: ServiceInstance = {
  id: 'from-node',
  service: 'users',
  hostname: 'host-1',
  addresses: ['http://10.0.0.1:8000'],
  version: 'v1',
  zone: 'sh001',
  env: '',
  region: '',
  weight: 10,
  status: 'up',
  metadata: { color: 'red' },
};

describe.skipIf(!kratos || !hasEtcd || !hasZooKeeper)(
  'kratos and keelson in one registry (KEELSON_KRATOS)',
  () => {
    let folder: string;
    let program: string;
    const children: ChildProcess[] = [];
    let servers: { etcd: EtcdServer; zookeeper: ZooKeeperServer };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'keelson-kratos-'));
      program = join(folder, 'interop');
      copyFileSync(
        fileURLToPath(new URL('../doubles/kratos/main.go', import.meta.url)),
        join(folder, 'main.go'),
      );
      writeFileSync(join(folder, 'go.mod'), goMod(kratos as string));
      const env = { ...process.env, GOFLAGS: '-mod=mod' };
      await promisify(execFile)('go', ['build', '-buildvcs=false', '-o', program, '.'], { cwd: folder, env });
      servers = { etcd: await startEtcd(), zookeeper: await startZooKeeper() };
    }, 300_000);
    afterAll(async () => {
      for (const child of children) child.kill('SIGKILL');
      await servers?.etcd.stop();
      await servers?.zookeeper.stop();
      if (folder) rmSync(folder, { recursive: true, force: true });
    });

    it.each(['etcd', 'zookeeper'] as const)('find each other in %s', async (kind) => {
      const address = kind === 'etcd' ? servers.etcd.url : servers.zookeeper.address;
      const registry: Registry =
        kind === 'etcd'
          ? etcd({ endpoints: [address], env: '', removalHoldMs: 0 })
          : zookeeper({ servers: [address], env: '', removalHoldMs: 0 });
      const seen: Resolution[] = [];
      registry.watch('users', (resolution) => seen.push(resolution));
      const registration = await registry.register(instance);
      const child = spawn(program, [kind, address, 'users'], { stdio: 'pipe' });
      children.push(child);
      let said = '';
      child.stdout.on('data', (chunk) => {
        said += chunk;
      });
      const told = (): { id: string }[] => JSON.parse(said.trim().split('\n').at(-1) || '[]');
      await vi.waitFor(() => expect(seen.at(-1)?.instances).toHaveLength(2), patience);
      expect(seen.at(-1)?.instances[0]).toEqual({
        id: 'from-go',
        service: 'users',
        hostname: '',
        addresses: ['http://10.0.0.3:8000', 'grpc://10.0.0.3:9000?isSecure=false'],
        version: 'v2.0.0',
        zone: '',
        env: '',
        region: '',
        weight: 20,
        status: 'up',
        metadata: { color: 'blue' },
      });
      await vi.waitFor(() => expect(told()).toHaveLength(2), patience);
      expect(told().find(({ id }) => id === 'from-node')).toEqual({
        id: 'from-node',
        name: 'users',
        version: 'v1',
        metadata: { color: 'red', weight: '10', zone: 'sh001', hostname: 'host-1' },
        endpoints: ['http://10.0.0.1:8000'],
      });
      await registration.deregister();
      await vi.waitFor(() => expect(told().map(({ id }) => id)).toEqual(['from-go']), patience);
      child.stdin.write('.');
      await vi.waitFor(() => expect(seen.at(-1)?.instances).toEqual([]), patience);
      await registry.close();
    });
  },
);
