import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { RealProcess } from './real-process.js';

/** A real ZooKeeper of one server on the loopback. Sessions live from 400 ms on. */
export interface ZooKeeperServer {
  readonly port: number;
  readonly address: string;
  /** One of its four-letter words: `dump`, `wchp`. */
  ask(word: string): Promise<string>;
  kill(): Promise<void>;
  /** Starts it again, with what it had on disk or without. */
  restart(how?: { readonly empty: boolean }): Promise<void>;
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

const jar = '/usr/share/java/zookeeper.jar';

/** Whether this machine has one. */
export const hasZooKeeper = existsSync(jar) && spawnSync('java', ['-version']).status === 0;

export async function startZooKeeper(): Promise<ZooKeeperServer> {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-zookeeper-'));
  const data = join(folder, 'data');
  const port = await freePort();
  const config = join(folder, 'zoo.cfg');
  await mkdir(data);
  const lines = [
    'tickTime=200',
    `dataDir=${data}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'maxSessionTimeout=60000',
    'admin.enableServer=false',
    '4lw.commands.whitelist=*',
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const ask = async (word: string): Promise<string> => {
    const socket = net.connect(port, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.write(word);
    try {
      await once(socket, 'close', { signal: AbortSignal.timeout(2_000) });
    } catch {
      socket.destroy();
    }
    return said;
  };
  const healthy = async (): Promise<boolean> => (await ask('srvr')).includes('Mode:');
  const light = ['-Xmx96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dzookeeper.forceSync=no'];
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
  const server = new RealProcess(['java', ...light, '-cp', jar, main, config], healthy);
  await server.start();
  return {
    port,
    address: `127.0.0.1:${port}`,
    ask,
    kill: () => server.kill(),
    restart: async (how) => {
      await server.kill();
      if (how?.empty) {
        await rm(data, { recursive: true, force: true });
        await mkdir(data);
      }
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
