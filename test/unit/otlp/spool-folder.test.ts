import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Spool } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'keelson-folder-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const clock = manualClock();
const open = (folder: string): Spool =>
  new Spool({
    folder,
    maxBytes: 1_000_000,
    maxAgeMs: 3_600_000,
    claimMs: 60_000,
    clock,
    carries: () => true,
    lost: () => undefined,
  });
const batch = (text: string) => ({
  body: Buffer.from(text),
  spans: 1,
  encoding: 'protobuf' as const,
  gzipped: false,
});

describe('the folder of a spool', () => {
  it('is made, with all that it is in, for this user alone; nothing is left of trying it', async () => {
    const folder = join(root, 'a', 'b', 'c');
    const spool = open(folder);
    expect(await spool.fault()).toBeUndefined();
    expect([readdirSync(folder), spool.isStuck(clock.now())]).toEqual([[], false]);
    if (process.platform !== 'win32') expect(statSync(join(root, 'a')).mode & 0o777).toBe(0o700);
    expect(await open(folder).fault()).toBeUndefined();
  });

  it('below a file says why it cannot be, and is used as soon as it can', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    const spool = open(join(file, 'sub'));
    expect(await spool.fault()).toMatch(/^(ENOTDIR|ENOENT|EEXIST): .*file/);
    expect(spool.isStuck(clock.now())).toBe(true);
    await expect(spool.put(batch('early'))).rejects.toThrow();
    rmSync(file);
    expect(await spool.put(batch('later'))).toBe(true);
    expect((await spool.take())?.body.toString()).toBe('later');
  });

  it('that is a file is none', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    expect(await open(file).fault()).toMatch(/^(ENOTDIR|EEXIST): /);
  });

  // The platform's own way to make a path never comes back from there.
  it.runIf(process.platform === 'linux').each(['/proc/keelson/none', '/sys/keelson/none', '/dev/null/x'])(
    'at %s comes to an end, at the end of the process too',
    async (folder) => {
      const spool = open(folder);
      expect(await spool.fault()).toMatch(/^E[A-Z]+: /);
      await expect(spool.put(batch('x'))).rejects.toThrow();
      expect(await spool.take()).toBeUndefined();
      expect(spool.salvage([batch('y')])).toHaveLength(1);
    },
  );

  it('is not tried when all is over', async () => {
    const folder = join(root, 'late');
    const spool = open(folder);
    spool.stop();
    expect(await spool.fault()).toBeUndefined();
    expect(readdirSync(root)).toEqual([]);
  });
});
