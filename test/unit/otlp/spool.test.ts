import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EncodingName, type LossReason, parseSpoolName, Spool, type SpoolInit } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-spool-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const clock = manualClock();

function open(more: Partial<SpoolInit> = {}) {
  const lost: [LossReason, number][] = [];
  const spool = new Spool({
    folder,
    maxBytes: 1_000_000,
    maxAgeMs: 3_600_000,
    claimMs: 60_000,
    clock,
    carries: () => true,
    lost: (reason, spans) => lost.push([reason, spans]),
    ...more,
  });
  return { spool, lost };
}
const batch = (text: string, spans = 1, encoding: EncodingName = 'protobuf') => ({
  body: Buffer.from(text),
  spans,
  encoding,
  gzipped: false,
});
const files = () => readdirSync(folder).sort();
/** Files are named by the millisecond. */
const later = () => clock.advanceSync(1);

describe('Spool', () => {
  it('gives back what it was given, oldest first, and forgets it when it is done', async () => {
    const { spool } = open();
    for (const text of ['one', 'two', 'three']) {
      expect(await spool.put(batch(text, 5))).toBe(true);
      later();
    }
    expect(spool.stats).toMatchObject({ files: 3, spans: 15, written: 15 });
    const read: string[] = [];
    for (let taken = await spool.take(); taken; taken = await spool.take()) {
      read.push(taken.body.toString());
      expect(taken.claim.entry).toMatchObject({ spans: 5, encoding: 'protobuf', gzipped: false });
      await spool.done(taken.claim, true);
    }
    expect(read).toEqual(['one', 'two', 'three']);
    expect(files()).toEqual([]);
    expect(spool.stats).toMatchObject({ files: 0, bytes: 0, spans: 0, replayed: 15 });
  });

  it('can be read by this user alone', async () => {
    const { spool } = open({ folder: join(folder, 'made') });
    await spool.put(batch('x'));
    const { statSync } = await import('node:fs');
    const [file = ''] = readdirSync(join(folder, 'made'));
    expect(statSync(join(folder, 'made')).mode & 0o077).toBe(0);
    expect(statSync(join(folder, 'made', file)).mode & 0o077).toBe(0);
  });

  it('is found by the next process', async () => {
    await open().spool.put(batch('left', 3));
    const { spool } = open();
    const taken = await spool.take();
    expect(taken?.body.toString()).toBe('left');
    expect(taken?.claim.entry.spans).toBe(3);
  });

  it('gives each file to one of several that ask at the same time', async () => {
    const first = open().spool;
    for (let index = 0; index < 20; index++) await first.put(batch(`b${index}`));
    const all = [first, ...Array.from({ length: 4 }, () => open().spool)];
    const read: string[] = [];
    await Promise.all(
      all.map(async (spool) => {
        for (let taken = await spool.take(); taken; taken = await spool.take()) {
          read.push(taken.body.toString());
          await spool.done(taken.claim, true);
        }
      }),
    );
    expect(read.length).toBe(20);
    expect(new Set(read).size).toBe(20);
    expect(files()).toEqual([]);
  });

  it('puts back what was not sent, for a later try', async () => {
    const { spool } = open();
    await spool.put(batch('again'));
    const taken = await spool.take();
    if (taken === undefined) throw new Error('nothing was taken');
    await spool.putBack(taken.claim, clock.now() + 5_000);
    expect(await spool.take()).toBeUndefined();
    expect(spool.waitMs(clock.now())).toBe(5_000);
    clock.advanceSync(5_000);
    const second = await spool.take();
    expect([second?.body.toString(), second?.failures]).toEqual(['again', 1]);
  });

  it('takes over what a dead process was sending, once it must have ended', async () => {
    await open().spool.put(batch('held'));
    expect(await open().spool.take()).toBeDefined();
    const heir = open().spool;
    expect(await heir.take()).toBeUndefined();
    clock.advanceSync(61_000);
    expect((await heir.take())?.body.toString()).toBe('held');
  });

  it('takes over at once what nobody can be sending any more', async () => {
    await open({ maxAgeMs: 86_400_000 }).spool.put(batch('held'));
    expect(await open({ maxAgeMs: 86_400_000 }).spool.take()).toBeDefined();
    clock.advanceSync(3_600_001);
    const { spool, lost } = open();
    expect(await spool.take()).toBeUndefined();
    expect([files(), lost]).toEqual([[], [['retry_exhausted', 1]]]);
  });

  it('does not take over what it is sending itself', async () => {
    const { spool } = open();
    await spool.put(batch('slow'));
    const taken = await spool.take();
    clock.advanceSync(300_000);
    expect(await spool.take()).toBeUndefined();
    expect(spool.stats.files).toBe(1);
    if (taken) await spool.done(taken.claim, true);
    expect(files()).toEqual([]);
  });

  it('drops the oldest when it is full, and counts what was in them', async () => {
    const { spool, lost } = open({ maxBytes: 3 * 4_096 });
    for (let index = 0; index < 5; index++) {
      expect(await spool.put(batch(String(index).repeat(1_000), 10))).toBe(true);
      later();
    }
    expect(lost).toEqual([
      ['spool_full', 10],
      ['spool_full', 10],
    ]);
    expect((await spool.take())?.body.toString()[0]).toBe('2');
    expect(spool.stats.bytes).toBeLessThanOrEqual(3 * 4_096);
  });

  it('counts whole blocks: very small files are not very many', async () => {
    const { spool } = open({ maxBytes: 10 * 4_096 });
    for (let index = 0; index < 40; index++) await spool.put(batch('small'));
    expect([files().length, spool.stats.bytes]).toEqual([10, 10 * 4_096]);
  });

  it('refuses what is larger than all of it', async () => {
    const { spool, lost } = open({ maxBytes: 100 });
    expect(await spool.put(batch('x'.repeat(101), 7))).toBe(false);
    expect(lost).toEqual([['spool_full', 7]]);
    expect(files()).toEqual([]);
  });

  it('does not drop what is being sent', async () => {
    const { spool, lost } = open({ maxBytes: 4_096 });
    await spool.put(batch('x'.repeat(1_000), 4));
    const taken = await spool.take();
    expect(await spool.put(batch('y'.repeat(1_000), 9))).toBe(false);
    expect(lost).toEqual([['spool_full', 9]]);
    expect(taken?.body.length).toBe(1_000);
  });

  it.each([
    ['cut', (path: string) => truncateSync(path, 30)],
    ['empty', (path: string) => truncateSync(path, 0)],
    [
      'altered',
      (path: string) => {
        const bytes = readFileSync(path);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        writeFileSync(path, bytes);
      },
    ],
    ['foreign', (path: string) => writeFileSync(path, 'something that is not ours')],
  ])('refuses a file that was %s, counts it, and goes on', async (_, tear) => {
    const writer = open().spool;
    await writer.put(batch('a'.repeat(100), 6));
    tear(join(folder, files()[0] ?? ''));
    later();
    await writer.put(batch('whole'));
    const { spool, lost } = open();
    expect((await spool.take())?.body.toString()).toBe('whole');
    expect(lost).toEqual([['spool_torn', 6]]);
    expect(spool.stats.torn).toBe(1);
    expect(files().length).toBe(1);
  });

  it('drops what is too old, and counts it', async () => {
    await open().spool.put(batch('old', 8));
    clock.advanceSync(3_600_001);
    const { spool, lost } = open();
    expect(await spool.take()).toBeUndefined();
    expect(lost).toEqual([['retry_exhausted', 8]]);
    expect(files()).toEqual([]);
  });

  it('clears up what was left half written, but not what is being written, and counts it', async () => {
    const { spool, lost } = open();
    const half = (serial: number) =>
      `${String(clock.wallMs())}-${'0'.repeat(16)}-${serial}-7.protobuf.gz.spans.tmp`;
    const old = half(1);
    writeFileSync(join(folder, old), 'x');
    expect(await spool.take()).toBeUndefined();
    clock.advanceSync(40_000);
    const fresh = half(2);
    writeFileSync(join(folder, fresh), 'x');
    expect(await spool.take()).toBeUndefined();
    expect([files(), lost]).toEqual([[old, fresh], []]);
    clock.advanceSync(30_000);
    expect(await spool.take()).toBeUndefined();
    expect([files(), lost]).toEqual([[fresh], [['spool_torn', 7]]]);
  });

  it('leaves alone what is none of its files, and what it cannot send', async () => {
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    const { spool } = open({ carries: (encoding) => encoding === 'protobuf' });
    await spool.put(batch('{}', 1, 'json'));
    expect(await spool.take()).toBeUndefined();
    expect(files().length).toBe(2);
    expect(spool.waitMs(clock.now())).toBeGreaterThan(0);
  });

  it('says so when the folder cannot be used, and leaves the batch to whoever has it', async () => {
    writeFileSync(join(folder, 'file'), '');
    const { spool, lost } = open({ folder: join(folder, 'file') });
    await expect(spool.put(batch('x', 2))).rejects.toThrow(/ENOTDIR|EEXIST/);
    expect([lost, spool.isStuck(clock.now())]).toEqual([[], true]);
    expect(await spool.take()).toBeUndefined();
    clock.advanceSync(5_000);
    expect(spool.isStuck(clock.now())).toBe(false);
  });

  it('makes its folder anew when somebody has cleared it away', async () => {
    const { spool, lost } = open({ folder: join(folder, 'made') });
    await spool.put(batch('gone'));
    rmSync(join(folder, 'made'), { recursive: true });
    expect(await spool.put(batch('there'))).toBe(true);
    expect((await spool.take())?.body.toString()).toBe('there');
    expect(lost).toEqual([]);
  });

  it.each(['1-a-1-1.protobuf.spans', '.spans', '', '../x', 'x.tmp', '1700000000000-zz-1-1.json.spans'])(
    'does not take %j for one of its files',
    (name) => {
      expect(parseSpoolName(name)).toBeUndefined();
    },
  );

  describe('at the end', () => {
    it('finishes nothing that is not as good as there', async () => {
      const { spool } = open();
      const puts = [1, 2, 3].map((index) => spool.put(batch(`b${index}`)));
      const settled = Promise.allSettled(puts);
      const stored = spool.stop();
      const kept = (await settled).map(({ status }) => status);
      expect([stored, kept]).toEqual([undefined, ['rejected', 'rejected', 'rejected']]);
      expect(files()).toEqual([]);
      expect(await spool.take()).toBeUndefined();
    });

    it('gives back what was taken', async () => {
      const { spool } = open();
      await spool.put(batch('taken'));
      const taken = await spool.take();
      spool.stop();
      if (taken) await spool.putBack(taken.claim, clock.now());
      expect((await open().spool.take())?.body.toString()).toBe('taken');
    });

    it('writes at once what there is, gives back what was taken, and says what had no room', async () => {
      const { spool } = open({ maxBytes: 3 * 4_096 });
      await spool.put(batch('taken'));
      await spool.take();
      const under = batch('being written');
      const late = spool.put(under).then(
        () => 'written',
        () => 'refused',
      );
      const others = [batch('two'), batch('three'), batch('four')];
      expect(spool.salvage([under, ...others])).toEqual(others.slice(1));
      const saved = files();
      expect(saved.map((name) => parseSpoolName(name)?.claimedMs)).toEqual([undefined, undefined, undefined]);
      expect(await late).toBe('refused');
      expect(files()).toEqual(saved);
      const { spool: next } = open();
      const read: (string | undefined)[] = [];
      for (let count = 0; count < 4; count++) read.push((await next.take())?.body.toString());
      expect(read.sort()).toEqual(['being written', 'taken', 'two', undefined]);
    });

    it('has written nothing when the folder cannot be used', () => {
      writeFileSync(join(folder, 'file'), '');
      const { spool } = open({ folder: join(folder, 'file') });
      const all = [batch('x')];
      expect(spool.salvage(all)).toEqual(all);
    });
  });

  describe('a clock that is set', () => {
    /** The wall clock is set, the monotonic one goes on. */
    function settable() {
      let offset = 0;
      const set = (ms: number): void => {
        offset += ms;
      };
      const own = { now: () => clock.now(), wallMs: () => clock.wallMs() + offset, after: clock.after };
      return { own, set };
    }
    const day = 86_400_000;

    it.each([day, -day, 70_000, -70_000])('by %d ms makes nothing older than it is', async (ms) => {
      const { own, set } = settable();
      const { spool, lost } = open({ clock: own });
      await spool.put(batch('one'));
      set(ms);
      clock.advanceSync(31_000);
      await spool.put(batch('two'));
      clock.advanceSync(31_000);
      const read = [await spool.take(), await spool.take()].map((taken) => taken?.body.toString());
      expect([read, lost]).toEqual([['one', 'two'], []]);
    });

    it.each([day / 2, -day, 70_000, -70_000])(
      'by %d ms kills nobody: what is being sent or written stays',
      async (ms) => {
        const { own, set } = settable();
        const maxAgeMs = day;
        const sender = open({ clock: own, maxAgeMs }).spool;
        await sender.put(batch('sent'));
        const taken = await sender.take();
        const half = `${String(own.wallMs())}-${'0'.repeat(16)}-9-7.protobuf.spans.tmp`;
        writeFileSync(join(folder, half), 'x');
        set(ms);
        const other = open({ clock: own, maxAgeMs });
        expect(await other.spool.take()).toBeUndefined();
        clock.advanceSync(31_000);
        expect(await other.spool.take()).toBeUndefined();
        expect(files()).toEqual([half, taken?.claim.heldAs].sort());
        expect(other.lost).toEqual([]);
        // But whoever is dead is dead.
        clock.advanceSync(31_000);
        expect((await other.spool.take())?.body.toString()).toBe('sent');
        expect(other.lost).toEqual([['spool_torn', 7]]);
      },
    );
  });
});
