import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { SnapshotKeeper } from '../../../src/registry/snapshot-keeper.js';

const disk = vi.hoisted(() => ({ hangs: false }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const open: typeof real.open = (...args) =>
    disk.hangs && args[1] === 'wx' ? new Promise<never>(() => undefined) : real.open(...args);
  return { ...real, open };
});

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-keeper-'));
});
afterEach(() => {
  disk.hangs = false;
  rmSync(folder, { recursive: true, force: true });
});

function keeper(text = 'new', maxBytes?: number) {
  const clock = manualClock();
  const reasons: string[] = [];
  const path = join(folder, 's.json');
  const kept = new SnapshotKeeper({
    ...{ path, clock, maxBytes },
    encode: () => text,
    decode: (found) => {
      if (found === 'garbage') throw new TypeError('it is garbage');
      return { records: [], floorNs: 0n, skipped: 0 };
    },
    tell: (_, { reason }) => reasons.push(String(reason)),
  });
  return { clock, reasons, path, kept };
}

describe('the file', () => {
  it('is not written before what is in it was taken over', async () => {
    const { path, kept, clock } = keeper();
    writeFileSync(path, 'old');
    kept.changed();
    await clock.advance(10_000);
    await kept.close();
    expect(readFileSync(path, 'utf8')).toBe('old');
    const other = keeper();
    await other.kept.load();
    await other.kept.close();
    expect(readFileSync(path, 'utf8')).toBe('old');
    const third = keeper();
    await third.kept.load();
    third.kept.begin();
    await third.kept.close();
    expect(readFileSync(path, 'utf8')).toBe('new');
  });

  it('is written also when one that was refused is removed by hand', async () => {
    const { path, kept, reasons } = keeper();
    writeFileSync(path, 'garbage');
    await kept.load();
    kept.begin();
    rmSync(path);
    await kept.close();
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(reasons).toEqual(['it was ignored: it is garbage']);
  });

  it('that is refused is kept under a name that is free', async () => {
    writeFileSync(join(folder, 's.json.refused'), 'of last week');
    const { path, kept } = keeper();
    writeFileSync(path, 'garbage');
    await kept.load();
    kept.begin();
    await kept.close();
    expect(readFileSync(`${path}.refused`, 'utf8')).toBe('of last week');
    expect(readFileSync(`${path}.1.refused`, 'utf8')).toBe('garbage');
  });

  it('is not written when it would not be read again', async () => {
    const { path, kept, reasons } = keeper('n'.repeat(101), 100);
    writeFileSync(path, 'old');
    await kept.load();
    kept.begin();
    await kept.close();
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(reasons).toEqual([expect.stringMatching(/it would have 101 bytes/)]);
  });

  it('leaves nothing beside it of a process that was killed', async () => {
    const { kept, clock } = keeper();
    const uuid = '6a2f41a3-c54c-fce8-32d2-0324e1c32e22';
    const strangers = [`other.json.${uuid}.tmp`, 's.json.tmp', 's.json.of-mine.tmp'];
    const put = (name: string, ageMs: number) => {
      const wall = new Date(clock.wallMs() - ageMs);
      writeFileSync(join(folder, name), '');
      utimesSync(join(folder, name), wall, wall);
    };
    for (const name of [`s.json.${uuid}.tmp`, ...strangers]) put(name, 61_000);
    // One that is not gone yet writes still.
    const young = `s.json.${uuid.replace('6', '7')}.tmp`;
    put(young, 59_000);
    await kept.load();
    expect(readdirSync(folder).sort()).toEqual([young, ...strangers].sort());
  });

  it('on a disk that hangs keeps nobody for longer than five seconds', async () => {
    const { kept, clock, reasons } = keeper();
    await kept.load();
    kept.begin();
    disk.hangs = true;
    let closed = false;
    void kept.close().then(() => {
      closed = true;
    });
    await clock.advance(4_999);
    expect(closed).toBe(false);
    await clock.advance(1);
    expect([closed, reasons]).toEqual([true, ['it was not written: no answer within 5000 ms']]);
  });
});
