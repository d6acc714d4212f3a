import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';

/** A real redis-server on the loopback, with nothing in it and nothing on disk. */
export interface RedisServer {
  /** The same before and after a restart. */
  readonly port: number;
  /** `redis://127.0.0.1:port`. */
  readonly url: string;
  /** Its version, `[7, 0, 15]`. */
  readonly version: readonly number[];
  /** Kills it with SIGKILL and waits until it is gone; nothing listens on the port afterwards. */
  kill(): Promise<void>;
  /** Kills it if it runs and starts it again, empty, on the same port. */
  restart(): Promise<void>;
  /** Freezes it: connections stay open and nothing is answered, as with a dead host or a network that drops packets. */
  freeze(): void;
  /** Lets a frozen one go on. */
  thaw(): void;
  /** Kills it for good and removes its folder. */
  stop(): Promise<void>;
}

/** Which redis-server this machine has. `undefined`: none. */
export function redisVersion(): readonly number[] | undefined {
  const { status, stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  const version = /v=(\d+)\.(\d+)\.(\d+)/.exec(stdout ?? '');
  return status === 0 && version !== null ? version.slice(1).map(Number) : undefined;
}

async function answers(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = await once(socket, 'data');
    return String(reply).startsWith('+PONG');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Place {
  readonly port: number;
  readonly dir: string;
  readonly more: readonly string[];
}

/** Why the last start failed is in what it printed. */
async function launch({ port, dir, more }: Place): Promise<ChildProcess> {
  const config = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    '--appendonly',
    'no',
    ...more,
  ];
  const server = spawn('redis-server', config, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [server.stdout, server.stderr])
    stream?.on('data', (text) => {
      said += text;
    });
  for (let tries = 0; tries < 500 && server.exitCode === null; tries++) {
    if (await answers(port)) return server;
    await pause(20);
  }
  server.kill('SIGKILL');
  throw new Error(`redis-server does not answer on port ${port}:\n${said}`);
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, 'exit');
  server.kill('SIGKILL');
  await gone;
}

/** Another process may take the free port before redis-server does; then another port is tried. */
async function firstLaunch(
  dir: string,
  more: readonly string[],
): Promise<{ port: number; server: ChildProcess }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      return { port, server: await launch({ port, dir, more }) };
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

/**
 * Starts a redis-server on a free port of the loopback.
 *
 * @param more - arguments for it: `--cluster-enabled yes`
 * @returns `undefined` when this machine has none; the caller says loudly that it skips what needs it
 */
export async function startRedis(more: readonly string[] = []): Promise<RedisServer | undefined> {
  const version = redisVersion();
  if (version === undefined) return undefined;
  const dir = await mkdtemp(join(tmpdir(), 'keelson-redis-'));
  const first = await firstLaunch(dir, more);
  const { port } = first;
  let { server } = first;
  // A test run that dies must not leave servers behind.
  const last = () => server.kill('SIGKILL');
  process.once('exit', last);
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    version,
    kill: () => end(server),
    restart: async () => {
      await end(server);
      server = await launch({ port, dir, more });
    },
    freeze: () => void server.kill('SIGSTOP'),
    thaw: () => void server.kill('SIGCONT'),
    stop: async () => {
      process.off('exit', last);
      await end(server);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
