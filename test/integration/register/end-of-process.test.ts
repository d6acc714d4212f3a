import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSpoolName } from 'keelson/otlp';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { FirstProcess, hasFirstProcesses } from '../../doubles/first-process.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';

// How programs end that were started with `keelson/register`: as they would without it, and what was recorded leaves before.

let built: BuiltPackage;
let collector: ScriptedCollector;
beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
  collector = await (await new ScriptedCollector().start()).startGrpc();
}, 120_000);
afterAll(async () => {
  built?.remove();
  await collector?.stop();
});

const open: TracedProgram[] = [];
afterEach(async () => {
  for (const program of open.splice(0)) {
    program.kill('SIGKILL');
    await program.exit;
  }
  collector.reset();
  collector.usual = 'ok';
});

function environment(more: Readonly<Record<string, string>>): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_METRICS_EXPORTER: 'none',
    // What waits for it to be over would be ended by the limit of the program.
    KEELSON_SHUTDOWN_TIMEOUT_MS: '60000',
    ...more,
  };
}

async function started(more: Readonly<Record<string, string>>): Promise<TracedProgram> {
  const program = new TracedProgram('signals.cjs', { folder: built.folder, environment: environment(more) });
  open.push(program);
  await said(program, 'ready');
  return program;
}

const said = (program: { readonly output: string }, what: string): Promise<void> =>
  vi.waitFor(() => expect(program.output).toContain(what), { timeout: 20_000, interval: 10 });
const names = (): string[] => collector.arrived.map(({ name }) => name);
const times = (text: string, what: string): number => text.split(what).length - 1;

/** A program that ends by itself, in order. */
async function ended(file: string, more: Readonly<Record<string, string>>): Promise<TracedProgram> {
  const program = new TracedProgram(file, {
    folder: built.folder,
    flags: ['--import', 'keelson/register'],
    environment: environment(more),
    limitMs: 15_000,
  });
  open.push(program);
  expect(await program.exit).toEqual({ code: 0, signal: null });
  return program;
}

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it.each(['none', 'cleaner', 'old cleaner', 'both cleaners'])(
    'with %s beside: what was recorded leaves, and the signal ends the process',
    async (LISTENS) => {
      for (const LATE of ['false', 'true']) {
        collector.reset();
        const program = await started({ LISTENS, LATE });
        program.kill(signal);
        expect(await program.exit).toEqual({ code: null, signal });
        expect(names()).toEqual(['last']);
        if (LISTENS !== 'none') expect(program.output).toContain(`cleaned ${signal}`);
      }
    },
  );
});

describe('SIGTERM, that somebody else hears too', () => {
  it('who ends the process only as the last to listen is that', async () => {
    for (const LATE of ['false', 'true']) {
      const program = await started({ LISTENS: 'counts', LATE });
      program.kill('SIGTERM');
      expect(await program.exit).toEqual({ code: null, signal: 'SIGTERM' });
    }
  });

  it.each(['drains', 'drains beside a cleaner'])('a program that %s comes to its end', async (LISTENS) => {
    for (const LATE of ['false', 'true']) {
      collector.reset();
      const program = await started({ LISTENS, LATE });
      program.kill('SIGTERM');
      expect(await program.exit).toEqual({ code: null, signal: 'SIGTERM' });
      expect(program.output).toContain('drained');
      expect(names()).toEqual(['last']);
    }
  });

  it('nobody hears it twice', async () => {
    const program = await started({ LISTENS: 'forces' });
    program.kill('SIGTERM');
    await vi.waitFor(() => expect(names()).toEqual(['last']), { timeout: 20_000 });
    await said(program, 'heard 1');
    program.kill('SIGTERM');
    expect(await program.exit).toEqual({ code: 9, signal: null });
    expect(times(program.output, 'heard')).toBe(2);
  });
});

describe('a second signal ends the process at once, whatever the collector does', () => {
  it('where nobody else listens', async () => {
    collector.usual = 'hang';
    const program = await started({});
    program.kill('SIGTERM');
    await vi.waitFor(() => expect(collector.hanging).toBeGreaterThan(0), { timeout: 20_000 });
    program.kill('SIGTERM');
    expect(await program.exit).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('where somebody gives way to it', async () => {
    collector.usual = 'hang';
    const program = await started({ LISTENS: 'stubborn' });
    program.kill('SIGTERM');
    await said(program, 'heard 1');
    program.kill('SIGTERM');
    expect(await program.exit).toEqual({ code: null, signal: 'SIGTERM' });
    expect(times(program.output, 'heard')).toBe(2);
  });

  it('and what has not left is on the disk, or counted and told', async () => {
    collector.usual = 'hang';
    const twice = async (more: Readonly<Record<string, string>>): Promise<TracedProgram> => {
      collector.reset();
      const program = await started(more);
      program.kill('SIGTERM');
      await vi.waitFor(() => expect(collector.hanging).toBeGreaterThan(0), { timeout: 20_000 });
      program.kill('SIGTERM');
      expect(await program.exit).toEqual({ code: null, signal: 'SIGTERM' });
      return program;
    };
    const spool = mkdtempSync(join(tmpdir(), 'keelson-signals-'));
    try {
      expect((await twice({ KEELSON_SPOOL_DIR: spool })).output).not.toContain('lost');
      expect(readdirSync(spool).map((file) => parseSpoolName(file)?.spans)).toEqual([1]);
    } finally {
      rmSync(spool, { recursive: true, force: true });
    }
    expect((await twice({})).output).toContain('keelson: 1 spans lost (shutdown 1)');
  });
});

describe.skipIf(!hasFirstProcesses)('as the first process of a container', () => {
  it.each(['none', 'cleaner', 'old cleaner', 'both cleaners', 'drains'])(
    'with %s beside, a signal ends it by its code, when all has left',
    async (LISTENS) => {
      const program = new FirstProcess('signals.cjs', {
        folder: built.folder,
        environment: environment({ LISTENS }),
      });
      await said(program, 'ready');
      program.kill('SIGTERM');
      expect(await program.exit).toBe(143);
      expect(names()).toEqual(['last']);
      if (LISTENS.includes('cleaner')) expect(program.output).toContain('cleaned');
    },
  );

  it('a governed service too, whatever holds it', async () => {
    const program = new FirstProcess('governed-first.mjs', {
      folder: built.folder,
      environment: environment({}),
    });
    await said(program, 'ready');
    program.kill('SIGTERM');
    expect(await program.exit).toBe(143);
  });
});

describe('a process that ends by itself', () => {
  it('and begins something else before, goes on being traced', async () => {
    const program = new TracedProgram('goes-on.mjs', {
      folder: built.folder,
      flags: ['--import', 'keelson/register'],
      environment: environment({}),
    });
    open.push(program);
    expect(await program.exit).toEqual({ code: 0, signal: null });
    expect(names()).toEqual(['first', 'second']);
  });

  it('and measures something else before, has that pushed too', async () => {
    const program = await ended('goes-on.mjs', {
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'otlp',
    });
    expect(program.output).toBe('');
    const sums = collector.metrics
      .filter(({ name }) => name === 'spoken')
      .map(({ sum }) => sum.dataPoints[0]);
    expect(sums.map((point) => Number(point.asDouble ?? point.asInt))).toEqual([1, 2]);
  });

  it('the same on the console', async () => {
    const { output } = await ended('goes-on.mjs', {
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'console',
    });
    const lines = output.split('\n').filter((line) => line.includes('"spoken"'));
    expect(lines.map((line) => JSON.parse(line).points[0].value)).toEqual([1, 2]);
  });

  it('has what nobody ended ended, and sent', async () => {
    await ended('unended.mjs', { OTEL_TRACES_SAMPLER: 'always_on' });
    expect(collector.arrived).toMatchObject([{ name: 'root', attributes: { 'keelson.unended': true } }]);
  });

  it.each(['http/protobuf', 'grpc'])(
    'is not held by a collector that hangs, over %s, nor by the next request to it',
    async (OTEL_EXPORTER_OTLP_PROTOCOL) => {
      collector.usual = 'hang';
      const OTEL_EXPORTER_OTLP_ENDPOINT =
        OTEL_EXPORTER_OTLP_PROTOCOL === 'grpc' ? collector.grpcUrl : collector.url;
      for (const OTEL_METRICS_EXPORTER of ['none', 'otlp'])
        for (const HEARS of ['nothing', 'SIGTERM']) {
          collector.reset();
          collector.usual = 'hang';
          const { output } = await ended('lets-go.mjs', {
            HEARS,
            OTEL_METRICS_EXPORTER,
            OTEL_EXPORTER_OTLP_PROTOCOL,
            OTEL_EXPORTER_OTLP_ENDPOINT,
            // A request that held it would do so beyond the limit of the program.
            OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
            // To load grpc-js takes a part of it.
            KEELSON_SHUTDOWN_TIMEOUT_MS: OTEL_EXPORTER_OTLP_PROTOCOL === 'grpc' ? '2000' : '300',
          });
          expect(output).toContain('keelson: 1 spans lost (shutdown 1)');
          expect(/ points lost \(/.test(output)).toBe(OTEL_METRICS_EXPORTER === 'otlp');
        }
    },
    60_000,
  );
});

describe('a collector that nobody gets through to', () => {
  // Over gRPC it does: grpc-js takes no connection back that it has begun.
  it('holds no process either, over HTTP', async () => {
    const deaf = new TracedProgram('deaf.cjs', { folder: built.folder });
    open.push(deaf);
    const { port } = await deaf.next<{ port: number }>();
    deaf.tell('sleep');
    // Until one finds no room, and for as long as they are there.
    const queue: net.Socket[] = [];
    const isFull = (): boolean => queue.length > 3 && queue.at(-1)?.connecting === true;
    await vi.waitFor(
      () => {
        queue.push(net.connect(port, '127.0.0.1').on('error', () => undefined));
        expect(isFull()).toBe(true);
      },
      { timeout: 10_000, interval: 100 },
    );
    try {
      for (const HEARS of ['nothing', 'SIGTERM'])
        await ended('lets-go.mjs', {
          HEARS,
          OTEL_METRICS_EXPORTER: 'otlp',
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${port}`,
          OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
          KEELSON_SHUTDOWN_TIMEOUT_MS: '300',
        });
    } finally {
      for (const socket of queue) socket.destroy();
    }
  }, 40_000);
});

describe('a process that ends at once', () => {
  it('has counted and told what waits for an exporter of somebody else, or is on its way by it', async () => {
    const { output } = await ended('foreign-exporter.mjs', {});
    expect(output).toContain('keelson: 1200 spans lost (shutdown 1200)');
  });
});
