import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings } from 'keelson/register';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf, queriesOf } from '../doubles/document.js';
import { hasPrometheus, promtool } from '../doubles/prometheus-server.js';

// What a page tells people to copy has to work.

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = 'docs/backends.md';
const blocks = blocksOf(page);
const of = (language: string) => blocks.filter((block) => block.language === language);
const withPrograms = [page, 'docs/telemetry.md', 'docs/telemetry-metrics.md'];
const withQueries = [page, 'docs/telemetry-metrics.md', 'examples/call-graph/README.md'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-documents-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe(page, () => {
  it('is read', () => {
    for (const [language, least] of [
      ['ts', 5],
      ['sh', 8],
      ['yaml', 7],
      ['promql', 3],
    ] as const)
      expect([language, of(language).length >= least]).toEqual([language, true]);
  });

  it('and those beside it have programs that compile', () => {
    // Below the repository, where what they import is found.
    const place = join(root, '.cache', `documents-${process.pid}`);
    mkdirSync(place, { recursive: true });
    try {
      const programs = withPrograms.flatMap((path) =>
        blocksOf(path).flatMap(({ language, code, line }) =>
          language === 'ts' ? [{ name: `${basename(path, '.md')}-line-${line}.ts`, code }] : [],
        ),
      );
      for (const { name, code } of programs) writeFileSync(join(place, name), code);
      const config = { extends: '../../tsconfig.check.json', include: ['*.ts'], exclude: [] };
      const paths = { keelson: ['../../src/index.ts'], 'keelson/*': ['../../src/*/index.ts'] };
      const compilerOptions = { rootDir: '../..', allowJs: false, noUnusedLocals: false, paths };
      writeFileSync(join(place, 'tsconfig.json'), JSON.stringify({ ...config, compilerOptions }));
      const tsc = join(root, 'node_modules/tsc7/bin/tsc');
      const { stdout } = spawnSync(process.execPath, [tsc, '-p', place, '--listFiles'], { encoding: 'utf8' });
      const said = stdout.split('\n').filter((text) => text.includes(`documents-${process.pid}`));
      expect(said.filter((text) => text.includes('error'))).toEqual([]);
      // Each was looked at.
      expect(said).toHaveLength(programs.length);
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }, 120_000);

  it.each(of('sh').map(({ code, line }) => [line, code]))('line %i: a shell reads it', (_, code) => {
    const { status, stderr } = spawnSync('bash', ['-n'], { input: String(code), encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });

  const environments = of('sh').flatMap(({ code, line }) => {
    const pairs = Array.from(code.matchAll(/^export (\w+)=(.*)$/gm), ([, name, value]) => [name, value]);
    return pairs.length === 0 ? [] : [[line, Object.fromEntries(pairs)] as const];
  });
  it.each(environments)('line %i: each of its variables is understood', (_, environment) => {
    const said: string[] = [];
    const settings = readSettings(environment, (message) => said.push(message));
    expect(said).toEqual([]);
    // One that nobody reads would be passed over in silence.
    const known = new Set<string>();
    const asked = new Proxy(environment, {
      get: (target, name) => {
        known.add(String(name));
        return target[String(name)];
      },
    });
    expect(readSettings(asked, () => undefined)).toEqual(settings);
    expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
  });

  it('sends what it says to where it says', () => {
    const told = (wanted: string) =>
      readSettings(
        environments
          .map(([, environment]) => environment)
          .find((one) => JSON.stringify(one).includes(wanted)) ?? {},
        () => undefined,
      );
    expect(told('api.honeycomb.io')).toMatchObject({
      tracesTo: {
        url: 'https://api.honeycomb.io/v1/traces',
        headers: { 'x-honeycomb-team': 'YOUR_API_KEY' },
      },
      metricsTo: {
        url: 'https://api.honeycomb.io/v1/metrics',
        headers: { 'x-honeycomb-team': 'YOUR_API_KEY', 'x-honeycomb-dataset': 'orders-metrics' },
      },
    });
    expect(told('tempo:4318')).toMatchObject({
      tracesTo: { url: 'http://tempo:4318/v1/traces' },
      metrics: 'prometheus',
      prometheus: { host: '0.0.0.0', port: 9464 },
    });
    expect(told('prometheus:9090')).toMatchObject({
      metricsTo: { url: 'http://prometheus:9090/api/v1/otlp/v1/metrics' },
      histogram: 'exponential',
      metricIntervalMs: 15_000,
    });
  });

  describe.skipIf(!hasPrometheus)('for Prometheus', () => {
    const named = (name: string): string =>
      of('yaml').find(({ code }) => code.startsWith(`# ${name}`))?.code ?? '';

    it('has a configuration and rules that it takes', () => {
      for (const name of ['prometheus.yml', 'rules.yml']) writeFileSync(join(folder, name), named(name));
      const config = promtool('config', join(folder, 'prometheus.yml'));
      expect(config).toMatchObject({ status: 0, said: expect.stringContaining('3 rules found') });
    });

    it.each(withQueries)('has queries that it takes: %s', (path) => {
      const rules = queriesOf(path).map((expr, at) => ({ record: `query:${at}`, expr }));
      expect(rules.length).toBeGreaterThan(1);
      writeFileSync(join(folder, 'queries.yml'), JSON.stringify({ groups: [{ name: 'queries', rules }] }));
      expect(promtool('rules', join(folder, 'queries.yml'))).toMatchObject({ status: 0 });
    });
  });
});
