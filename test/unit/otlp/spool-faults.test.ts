import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LossReason, Spool } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

// A disk that fails as real ones do, one call at a time.
const faults = vi.hoisted(() => ({ next: new Map<string, { code: string; path: RegExp }>() }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const failing = (name: 'readFile' | 'writeFile' | 'rename' | 'readdir' | 'rm' | 'stat') => {
    return (path: string, ...rest: never[]): Promise<unknown> => {
      const fault = faults.next.get(name);
      if (fault === undefined || !fault.path.test(path))
        return (real[name] as (...all: unknown[]) => Promise<unknown>)(path, ...rest);
      faults.next.delete(name);
      return Promise.reject(Object.assign(new Error(`${fault.code}: ${name}`), { code: fault.code }));
    };
  };
  return {
    ...real,
    readFile: failing('readFile'),
    writeFile: failing('writeFile'),
    rename: failing('rename'),
    readdir: failing('readdir'),
    rm: failing('rm'),
    stat: failing('stat'),
  };
});

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-spool-'));
});
afterEach(() => {
  faults.next.clear();
  rmSync(folder, { recursive: true, force: true });
});

const clock = manualClock();
const fails = (name: string, code: string, path = /./): void => void faults.next.set(name, { code, path });

function open() {
  const lost: [LossReason, number][] = [];
  const spool = new Spool({
    folder,
    maxBytes: 1_000_000,
    maxAgeMs: 3_600_000,
    claimMs: 60_000,
    clock,
    carries: () => true,
    lost: (reason, spans) => lost.push([reason, spans]),
  });
  return { spool, lost };
}
const batch = (text: string, spans = 1) => ({
  body: Buffer.from(text),
  spans,
  encoding: 'protobuf' as const,
  gzipped: false,
});

describe('a disk that fails', () => {
  it.each([
    ['readFile', 'EMFILE'],
    ['readFile', 'EIO'],
    ['readFile', 'ENOMEM'],
    ['readFile', 'EACCES'],
    ['stat', 'ENFILE'],
  ])('destroys nothing: %s with %s leaves the file for later', async (call, code) => {
    await open().spool.put(batch('whole', 9));
    const { spool, lost } = open();
    fails(call, code, /\.claim-/);
    expect(await spool.take()).toBeUndefined();
    expect(faults.next.size).toBe(0);
    expect([lost, spool.stats.torn, readdirSync(folder).length]).toEqual([[], 0, 1]);
    expect(spool.waitMs(clock.now())).toBeGreaterThan(0);
    clock.advanceSync(5_000);
    expect((await spool.take())?.body.toString()).toBe('whole');
  });

  it.each([
    ['writeFile', 'ENOSPC'],
    ['writeFile', 'EMFILE'],
    ['rename', 'EROFS'],
  ])('leaves a batch to whoever has it: %s with %s', async (call, code) => {
    const { spool, lost } = open();
    fails(call, code);
    await expect(spool.put(batch('again'))).rejects.toThrow(code);
    expect([lost, readdirSync(folder), spool.isStuck(clock.now())]).toEqual([[], [], true]);
    expect(await spool.put(batch('again'))).toBe(true);
  });

  it('is written to also when it cannot be looked at', async () => {
    const { spool, lost } = open();
    fails('readdir', 'EMFILE');
    expect(await spool.put(batch('there', 3))).toBe(true);
    expect(lost).toEqual([]);
    expect((await spool.take())?.body.toString()).toBe('there');
  });

  it('is read although there is something in it that cannot be removed', async () => {
    const { spool, lost } = open();
    const old = `1600000000000-${'0'.repeat(16)}-1-4.protobuf.spans.tmp`;
    await open().spool.put(batch('there'));
    writeFileSync(join(folder, old), 'x');
    fails('rm', 'EPERM', /\.tmp$/);
    expect((await spool.take())?.body.toString()).toBe('there');
    expect([lost, readdirSync(folder).includes(old)]).toEqual([[], true]);
  });

  it('whose file cannot be given back gives it when the claim has run out', async () => {
    const { spool, lost } = open();
    await spool.put(batch('held'));
    const taken = await spool.take();
    fails('rename', 'EIO');
    if (taken) await spool.putBack(taken.claim, clock.now());
    const later: (string | undefined)[] = [];
    for (let count = 0; count < 4; count++) {
      later.push((await spool.take())?.body.toString());
      clock.advanceSync(31_000);
    }
    // Seen after half a minute at the latest, and then a minute old.
    expect(later).toEqual([undefined, undefined, undefined, 'held']);
    expect(lost).toEqual([]);
  });
});
