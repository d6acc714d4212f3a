import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { RealProcess } from './real-process.js';

const present = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

/** Whether this machine has Prometheus and its tool; what needs them says loudly that it is skipped. */
export const hasPrometheus = present('prometheus') && present('promtool');
if (!hasPrometheus)
  console.error(
    'NO prometheus OR NO promtool ON THIS MACHINE (apt install prometheus): THE METRICS OF keelson ARE NOT READ BY A REAL ONE',
  );

/** Runs `promtool check …`. */
export function promtool(...args: readonly string[]): {
  readonly status: number | null;
  readonly said: string;
} {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', ...args], { encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

/** What `promtool check metrics` has against a page. Nothing: an empty text. */
export function complaintsAbout(page: string): string {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: page,
    encoding: 'utf8',
  });
  return status === 0 ? `${stdout}${stderr}` : `ended with ${status}: ${stdout}${stderr}`;
}

/** One series at one moment. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** Exemplars of one series. */
export interface ExemplarSeries {
  readonly seriesLabels: Readonly<Record<string, string>>;
  readonly exemplars: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: string;
  }[];
}

/** A real Prometheus on the loopback, with storage of exemplars. */
export interface PrometheusServer {
  readonly url: string;
  /** The `data` that the API gives: `targets`, `metadata`. */
  ask<T>(path: string): Promise<T>;
  /** An instant query. */
  query(promql: string): Promise<readonly Sample[]>;
  /** Exemplars of the last hour. */
  exemplars(selector: string): Promise<readonly ExemplarSeries[]>;
  /** The same as `query`, until there is something. */
  found(promql: string): Promise<readonly Sample[]>;
  stop(): Promise<void>;
}

/** Asks until there is something, or the test ends. */
export async function eventually<T>(read: () => Promise<readonly T[]>): Promise<readonly T[]> {
  for (;;) {
    const found = await read();
    if (found.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * Starts one. It begins to scrape after five seconds, which nothing changes.
 *
 * @param jobs - ports of the loopback where `/metrics` is, by name of the job; a job may have several
 */
export async function startPrometheus(
  jobs: Readonly<Record<string, number | readonly number[]>>,
): Promise<PrometheusServer> {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  const scraped = Object.entries(jobs).map(([job_name, ports]) => ({
    job_name,
    static_configs: [{ targets: [ports].flat().map((port) => `127.0.0.1:${port}`) }],
  }));
  // JSON is YAML.
  const often = { scrape_interval: '200ms', scrape_timeout: '200ms' };
  await writeFile(config, JSON.stringify({ global: often, scrape_configs: scraped }));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const ready = async (): Promise<boolean> => {
    try {
      return (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(500) })).ok;
    } catch {
      return false;
    }
  };
  const flags = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--enable-feature=exemplar-storage',
    '--log.level=error',
  ];
  const server = new RealProcess(['prometheus', ...flags], ready);
  await server.start();
  const ask = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${url}/api/v1/${path}`, { signal: AbortSignal.timeout(5000) });
    const { status, data, error } = (await response.json()) as { status: string; data: T; error?: string };
    if (status !== 'success') throw new Error(`${path}: ${error}`);
    return data;
  };
  const query = async (promql: string): Promise<readonly Sample[]> =>
    (await ask<{ result: Sample[] }>(`query?query=${encodeURIComponent(promql)}`)).result;
  return {
    url,
    ask,
    query,
    exemplars(selector) {
      const now = Date.now() / 1000;
      const range = `start=${now - 3600}&end=${now + 60}`;
      return ask(`query_exemplars?query=${encodeURIComponent(selector)}&${range}`);
    },
    found: (promql) => eventually(() => query(promql)),
    async stop() {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
