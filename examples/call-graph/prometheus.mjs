// A real Prometheus beside the services, if this machine has one: `apt install prometheus`, `brew install prometheus`.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = /** @type {any} */ (probe.address());
  probe.close();
  await once(probe, 'close');
  return port;
}

/**
 * Starts it. It stores exemplars, and asks each target every second.
 *
 * @param targets - host and port of `/metrics`, by name of the service
 * @returns `undefined` if there is no `prometheus` on the PATH
 */
export async function startPrometheus(targets) {
  if (spawnSync('prometheus', ['--version']).status !== 0) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'call-graph-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const jobs = Object.entries(targets).map(([job_name, target]) => ({
    job_name,
    static_configs: [{ targets: [target] }],
  }));
  // JSON is YAML.
  const config = { global: { scrape_interval: '1s', scrape_timeout: '1s' }, scrape_configs: jobs };
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const last = () => child.kill('SIGKILL');
  process.once('exit', last);

  const ask = async (path) => {
    const answer = /** @type {any} */ (await (await fetch(`${url}/api/v1/${path}`)).json());
    return answer.data;
  };
  const isReady = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}`);
    await sleep(50);
  }
  return {
    url,
    query: async (promql) => (await ask(`query?query=${encodeURIComponent(promql)}`)).result,
    exemplars: (selector) => {
      const now = Date.now() / 1000;
      return ask(`query_exemplars?query=${encodeURIComponent(selector)}&start=${now - 3600}&end=${now + 60}`);
    },
    async stop() {
      process.off('exit', last);
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
