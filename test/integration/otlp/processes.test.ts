import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { parseSpoolName, type SpanExporterOptions, spanExporter } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BuiltPackage, builtPackage } from '../../doubles/built-package.js';
import { endedSpan } from '../../doubles/ended-spans.js';
import { pass } from '../../doubles/http-double.js';
import { spanIdsOf } from '../../doubles/otlp-schema.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { TracedProgram } from '../../doubles/traced-program.js';

// Spools of real processes: killed while they write, two at once, without file descriptors, without room on the disk.

let built: BuiltPackage;
beforeAll(async () => {
  built = await builtPackage(fileURLToPath(new URL('fixtures', import.meta.url)));
}, 120_000);
afterAll(() => built?.remove());

let folder = '';
let collector: ScriptedCollector;
const closers: (() => unknown)[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-processes-'));
  collector = await new ScriptedCollector().start();
  closers.push(
    () => rmSync(folder, { recursive: true, force: true }),
    () => collector.stop(),
  );
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Losses = Readonly<Record<string, number>>;
const away = { status: 503, headers: { 'retry-after': '300' } };
const patient = { timeout: 20_000, interval: 10 };

/** Starts a program, and has it begin. */
async function started(more: { readonly ulimit?: string; readonly spool?: string } = {}) {
  const { ulimit, spool = folder } = more;
  const environment = { COLLECTOR: collector.url, SPOOL: spool };
  const program = new TracedProgram('spooler.mjs', {
    folder: built.folder,
    environment,
    ...(ulimit !== undefined && { ulimit }),
  });
  closers.push(async () => {
    program.kill('SIGKILL');
    await program.exit;
  });
  await program.next();
  const asked = async <T>(what: string): Promise<T> => {
    program.tell(what);
    return program.next<T>();
  };
  return { program, asked };
}
const recorded = async (asked: (what: string) => Promise<unknown>, count: number): Promise<string[]> =>
  ((await asked(`record ${count}`)) as { ids: string[] }).ids;

const spoolFiles = (): string[] => readdirSync(folder).filter((file) => parseSpoolName(file) !== undefined);
const halfFiles = (): string[] => readdirSync(folder).filter((file) => file.endsWith('.tmp'));
const idsIn = (file: string): string[] => [
  ...spanIdsOf(gunzipSync(readFileSync(join(folder, file)).subarray(16))),
];
const sum = (counts: Losses): number => Object.values(counts).reduce((total, count) => total + count, 0);

/** The next process that uses the folder: this one. */
function heir(options: SpanExporterOptions = {}) {
  const clock = manualClock(0, Date.now());
  const warnings: string[] = [];
  const warn = (line: string): void => void warnings.push(line);
  const exporter = spanExporter({ endpoint: collector.url, clock, warn, spool: { folder }, ...options });
  closers.push(async () => {
    const closed = exporter.close(100);
    await pass(clock, 200);
    await closed;
  });
  return { exporter, clock, warnings };
}

/** Spans on the disk that somebody has left there. @returns their ids */
function left(spans: number): string[] {
  const { exporter } = heir({ batchSpans: 20 });
  const ids = Array.from({ length: spans }, () => {
    const span = endedSpan();
    exporter.accept(span);
    return span.spanContext().spanId;
  });
  exporter.salvage();
  return ids;
}

describe('a process that is killed while it writes', () => {
  it('leaves to the next one all that was sealed, and nothing that is half', async () => {
    collector.usual = away;
    for (let kill = 1; kill <= 3; kill++) {
      const { program, asked } = await started();
      await asked('begin');
      await asked('flood');
      await vi.waitFor(() => expect(spoolFiles().length).toBeGreaterThan(kill * 15), patient);
      program.kill('SIGKILL');
      expect(await program.exit).toEqual({ code: null, signal: 'SIGKILL' });
    }
    // As a power failure leaves a file.
    const [torn = '', ...whole] = spoolFiles();
    truncateSync(join(folder, torn), 40);
    if (halfFiles().length === 0) writeFileSync(join(folder, `${torn}.tmp`), 'KSP1');
    const lost = [torn, ...halfFiles().map((file) => file.slice(0, -4))];
    const lostSpans = lost.reduce((total, file) => total + (parseSpoolName(file)?.spans ?? 0), 0);
    const sealed = whole.flatMap(idsIn);
    expect(sealed.length).toBeGreaterThan(600);

    collector.usual = 'ok';
    const { exporter, clock, warnings } = heir({ warnIntervalMs: 1 });
    await vi.waitFor(async () => {
      await clock.advance(1_000);
      expect(readdirSync(folder)).toEqual([]);
    }, patient);
    expect([...collector.spanIds].sort()).toEqual(sealed.sort());
    const { lost: counts, spool } = exporter.stats();
    expect([counts.spool_torn, sum(counts), spool?.torn]).toEqual([lostSpans, lostSpans, 1]);
    expect(warnings.join()).toMatch(/spans lost \(spool_torn \d+\); last: \S+: a torn spool file/);
  }, 90_000);

  it('leaves what it was sending, too', async () => {
    const ids = left(8);
    expect(spoolFiles().length).toBe(1);
    collector.usual = 'hang';
    const { program, asked } = await started();
    await asked('begin');
    await vi.waitFor(() => expect(collector.requests.length).toBe(1), patient);
    program.kill('SIGKILL');
    await program.exit;
    expect(spoolFiles().map((file) => parseSpoolName(file)?.claimedMs)).toEqual([expect.any(Number)]);

    collector.usual = 'ok';
    collector.spans.length = 0;
    const { exporter, clock } = heir();
    // Whoever has claimed it may be alive.
    await pass(clock, 50_000);
    expect(collector.spans.length).toBe(0);
    await pass(clock, 60_000, () => exporter.stats().sentSpans === 8);
    expect([...collector.spanIds].sort()).toEqual(ids.sort());
    expect(sum(exporter.stats().lost)).toBe(0);
  }, 60_000);
});

describe('two processes that share a folder', () => {
  it('write and send side by side: everything arrives once, or is counted', async () => {
    collector.usual = { status: 503 };
    const both = await Promise.all([started(), started()]);
    const ids: string[] = [];
    for (const { asked } of both) await asked('begin');
    for (let round = 0; round < 20; round++)
      for (const { asked } of both) ids.push(...(await recorded(asked, 100)));
    await vi.waitFor(() => expect(spoolFiles().length).toBeGreaterThan(10), patient);
    collector.usual = 'ok';
    // A disk that is slower than they record costs what the memory does not hold; nothing else, and it is counted.
    await vi.waitFor(async () => {
      const told = await Promise.all(both.map(({ asked }) => asked<{ losses: Losses }>('report')));
      const dropped = told.reduce((total, { losses }) => total + (losses['queue_full'] ?? 0), 0);
      expect(collector.spans.length + dropped).toBe(ids.length);
      expect(readdirSync(folder)).toEqual([]);
    }, patient);
    expect(collector.spans.length).toBeGreaterThan(ids.length / 2);
    expect(new Set(collector.spanIds).size).toBe(collector.spans.length);
    expect(ids).toEqual(expect.arrayContaining(collector.spanIds));
    for (const { asked, program } of both) {
      const { losses } = await asked<{ losses: Losses }>('stop');
      expect(sum(losses)).toBe(losses['queue_full']);
      expect((await program.exit).code).toBe(0);
    }
  }, 60_000);
});

describe('a process without file descriptors', () => {
  it('destroys nothing of what it cannot read, and goes on when it has some again', async () => {
    collector.usual = { status: 503 };
    const ids = left(600);
    expect(spoolFiles().length).toBeGreaterThan(5);

    const { asked } = await started({ ulimit: '-n 80' });
    const { length } = collector.requests;
    await asked('begin');
    await vi.waitFor(() => expect(collector.requests.length).toBeGreaterThan(length), patient);
    expect(await asked('exhaust')).toEqual({ code: 'EMFILE' });
    // It takes files, cannot read them, and gives them back.
    const changed = (): bigint => statSync(folder, { bigint: true }).mtimeNs;
    for (let times = 0; times < 3; times++) {
      const before = changed();
      await vi.waitFor(() => expect(changed()).not.toBe(before), patient);
    }
    ids.push(...(await recorded(asked, 100)));
    expect(sum((await asked<{ losses: Losses }>('report')).losses)).toBe(0);
    collector.usual = 'ok';
    await asked('relieve');
    await vi.waitFor(() => expect(readdirSync(folder)).toEqual([]), patient);
    await vi.waitFor(() => expect(collector.spans.length).toBeGreaterThanOrEqual(ids.length), patient);
    expect([...collector.spanIds].sort()).toEqual(ids.sort());
  }, 60_000);
});

describe('a disk without room', () => {
  it('takes no half files; what the memory holds is sent later, and what it does not is counted', async () => {
    collector.usual = { status: 503 };
    // No file may be longer than that, so that every write stops in the middle.
    const { asked, program } = await started({ ulimit: '-f 1' });
    await asked('begin');
    const ids: string[] = [];
    for (let round = 0; round < 40; round++) ids.push(...(await recorded(asked, 100)));
    expect(spoolFiles()).toEqual([]);
    collector.usual = 'ok';
    await vi.waitFor(() => expect(collector.spans.length).toBeGreaterThan(0), patient);
    const { losses } = await asked<{ losses: Losses }>('stop');
    expect((await program.exit).code).toBe(0);
    expect(sum(losses)).toBeGreaterThan(0);
    expect(collector.spans.length + sum(losses)).toBe(ids.length);
    expect(new Set(collector.spanIds).size).toBe(collector.spans.length);
    expect(readdirSync(folder)).toEqual([]);
    expect(program.output).toMatch(/keelson: \d+ spans lost/);
  }, 60_000);

  // Only a superuser may make a small disk.
  const isMounted = (): boolean =>
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder]).status === 0;
  it('is used again when there is some', async ({ skip }) => {
    if (!isMounted()) skip();
    closers.push(() => spawnSync('umount', ['-l', folder]));
    writeFileSync(join(folder, 'filler'), Buffer.alloc(56_000));
    collector.usual = { status: 503 };
    const { asked, program } = await started();
    await asked('begin');
    const ids: string[] = [];
    const flooded = async (): Promise<number> => {
      ids.push(...(await recorded(asked, 200)));
      return sum((await asked<{ losses: Losses }>('report')).losses);
    };
    await vi.waitFor(async () => expect(await flooded()).toBeGreaterThan(0), patient);
    // What was free has room for no more.
    expect(spoolFiles().length).toBeLessThanOrEqual(2);
    rmSync(join(folder, 'filler'));
    await vi.waitFor(async () => {
      await flooded();
      expect(spoolFiles().length).toBeGreaterThan(5);
    }, patient);
    collector.usual = 'ok';
    await vi.waitFor(() => expect(readdirSync(folder)).toEqual([]), patient);
    const { losses } = await asked<{ losses: Losses }>('stop');
    await program.exit;
    expect(collector.spans.length + sum(losses)).toBe(ids.length);
    expect(new Set(collector.spanIds).size).toBe(collector.spans.length);
  }, 60_000);
});

describe('a process that ends at once', () => {
  const ends = [
    ['by process.exit in a handler of SIGTERM', 'exits', 3],
    ['by an error that nobody catches', 'fails', 1],
  ] as const;

  it.each(ends)('%s: the spans of the last second are in the spool', async (_, how, code) => {
    const { asked, program } = await started();
    await asked('begin');
    const ids = await recorded(asked, 33);
    program.tell(how);
    expect((await program.exit).code).toBe(code);
    const arrived = collector.spanIds;
    expect([...new Set([...spoolFiles().flatMap(idsIn), ...arrived])].sort()).toEqual(ids.sort());
    expect(spoolFiles().length).toBeGreaterThan(0);
    expect(program.output).not.toContain('lost');
  });

  it.each(ends)('%s: without a spool they are counted, and a line says so', async (_, how, code) => {
    collector.usual = 'hang';
    const { asked, program } = await started({ spool: '' });
    await asked('begin');
    await recorded(asked, 33);
    program.tell(how);
    expect((await program.exit).code).toBe(code);
    expect(program.output.match(/keelson: 33 spans lost \(shutdown 33\)/g)).toHaveLength(1);
  });
});
