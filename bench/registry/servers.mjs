// The registries that are measured, each a process of its own on loopback, with the least that it needs.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @typedef {object} Served
 * @property {string} name
 * @property {string} host `127.0.0.1:port`
 * @property {number} pid
 * @property {() => Promise<void>} stop
 */

/** @returns {Promise<number>} */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Where a program of bilibili/discovery is, if anywhere. It is looked for, not built. */
export function originalProgram() {
  const path = process.env.KEELSON_BILIBILI_DISCOVERY ?? join(root, '.cache', 'bilibili-discovery');
  return existsSync(path) ? path : undefined;
}

/** Where etcd is, if anywhere. */
export function etcdProgram() {
  try {
    return execFileSync('sh', ['-c', 'command -v etcd'], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name
 * @param {{ command: readonly string[], folder: string, port: number, probe: string }} how
 * @returns {Promise<Served>}
 */
async function serve(name, { command, folder, port, probe }) {
  const [program = '', ...args] = command;
  const env = { PATH: process.env.PATH ?? '', HOME: folder };
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, env });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-2_000);
  });
  const last = () => void child.kill('SIGKILL');
  process.once('exit', last);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    // Properly, or no profile is written; but not for ever.
    child.kill('SIGTERM');
    const late = setTimeout(last, 5_000);
    await gone;
    clearTimeout(late);
    process.off('exit', last);
    rmSync(folder, { recursive: true, force: true });
  };
  for (let tries = 0; tries < 400; tries++) {
    if (child.exitCode !== null) break;
    const found = await fetch(`http://127.0.0.1:${port}${probe}`).catch(() => undefined);
    if (found?.ok) return { name, host: `127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  await stop();
  throw new Error(`${name} did not start: ${said}`);
}

const newFolder = () => mkdtempSync(join(tmpdir(), 'keelson-bench-'));

/** @param {readonly string[]} flags of node */
export async function startOurs(flags = []) {
  const port = await freePort();
  const main = join(root, 'dist', 'esm', 'cli', 'main.js');
  const options = ['--listen', `127.0.0.1:${port}`, '--quiet'];
  const command = [process.execPath, ...flags, main, 'registry', ...options];
  return await serve('keelson', { command, folder: newFolder(), port, probe: '/healthz' });
}

/** @param {string} program */
export async function startOriginal(program) {
  const port = await freePort();
  const folder = newFolder();
  const config = [
    `nodes = ["127.0.0.1:${port}"]`,
    'enableprotect = false',
    '[env]\nregion = "r"\nzone = "z"\nhost = "original"\nDeployEnv = "e"',
    `[httpServer]\naddr = "127.0.0.1:${port}"\ntimeout = "40s"`,
    '[httpClient]\ndial = "1s"\nkeepAlive = "120s"\ntimeout = "5s"',
    '[log]\nstdout = false',
  ];
  writeFileSync(join(folder, 'discovery.toml'), config.join('\n'));
  const command = [program, '-conf', folder];
  return await serve('bilibili/discovery', { command, folder, port, probe: '/discovery/nodes' });
}

/** @param {string} program */
export async function startEtcd(program) {
  const [client, peer] = [await freePort(), await freePort()];
  const folder = newFolder();
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const command = [
    ...[program, '--name', 'one', '--data-dir', join(folder, 'data'), '--log-level', 'error'],
    ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', `one=${peerUrl}`],
  ];
  return await serve('etcd', { command, folder, port: client, probe: '/health' });
}

/** Memory of a process as the kernel counts it, in bytes; 0 where there is no /proc. @param {number} pid */
export function residentBytes(pid) {
  try {
    const [, kilobytes = '0'] =
      /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  } catch {
    return 0;
  }
}

/** Time on the CPU so far of a process, in seconds; 0 where there is no /proc. @param {number} pid */
export function cpuSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}
