import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { RealProcess } from './real-process.js';

/** A real etcd of one member on the loopback. */
export interface EtcdServer {
  readonly port: number;
  readonly url: string;
  /** One call of the JSON gateway. */
  call(path: string, body: object, token?: string): Promise<Record<string, unknown>>;
  /** Writes a key by hand. */
  put(key: string, value: string): Promise<void>;
  /** Reads all keys that begin like this. */
  read(prefix: string): Promise<{ key: string; value: string; lease: string }[]>;
  remove(key: string): Promise<void>;
  kill(): Promise<void>;
  /** Starts it again with what it had on disk. */
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Whether this machine has one. */
export const hasEtcd = spawnSync('etcd', ['--version']).status === 0;

const coded = (text: string): string => Buffer.from(text).toString('base64');
const plain = (text: unknown): string => Buffer.from(String(text ?? ''), 'base64').toString();
const after = (prefix: string): string =>
  `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;

export async function startEtcd(): Promise<EtcdServer> {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-etcd-'));
  const port = await freePort();
  const peers = `http://127.0.0.1:${await freePort()}`;
  const url = `http://127.0.0.1:${port}`;
  const flags = {
    'data-dir': join(folder, 'data'),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': peers,
    'initial-advertise-peer-urls': peers,
    'initial-cluster': `default=${peers}`,
    'log-level': 'error',
    // Leads itself sooner after a restart.
    'heartbeat-interval': '20',
    'election-timeout': '200',
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const healthy = async (): Promise<boolean> => {
    try {
      const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(500) });
      return (await answer.text()).includes('true');
    } catch {
      return false;
    }
  };
  const server = new RealProcess(['etcd', ...args], healthy);
  await server.start();
  const call: EtcdServer['call'] = async (path, body, token) => {
    const headers = token === undefined ? {} : { authorization: token };
    const answer = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return JSON.parse(text);
  };
  return {
    port,
    url,
    call,
    put: async (key, value) => void (await call('/v3/kv/put', { key: coded(key), value: coded(value) })),
    read: async (prefix) => {
      const { kvs = [] } = await call('/v3/kv/range', {
        key: coded(prefix),
        range_end: coded(after(prefix)),
      });
      return (kvs as Record<string, string>[]).map(({ key, value, lease = '0' }) => ({
        key: plain(key),
        value: plain(value),
        lease,
      }));
    },
    remove: async (key) => void (await call('/v3/kv/deleterange', { key: coded(key) })),
    kill: () => server.kill(),
    restart: async () => {
      await server.kill();
      await server.start();
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    stop: async () => {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
