import { Departures } from 'keelson/otlp';
import { describe, expect, it } from 'vitest';

const thing = (name: string) => ({ name });
async function isSettled(promise: Promise<void>): Promise<boolean> {
  const pending = Symbol('pending');
  const first = await Promise.race([promise, new Promise((resolve) => setImmediate(() => resolve(pending)))]);
  return first !== pending;
}

describe('Departures', () => {
  it('waits for what was there, not for what comes', async () => {
    const [a, b, c] = [thing('a'), thing('b'), thing('c')];
    const all = new Departures<object>();
    all.add(a);
    all.add(b);
    const { done } = all.allLeft();
    all.add(c);
    all.remove(b);
    expect(await isSettled(done)).toBe(false);
    all.remove(a);
    expect(await isSettled(done)).toBe(true);
    expect([...all]).toEqual([c]);
    expect([all.size, all.watching]).toEqual([1, 0]);
  });

  it('waits for what a thing has become', async () => {
    const [whole, one, two, later] = [thing('whole'), thing('one'), thing('two'), thing('later')];
    const all = new Departures<object>();
    all.add(whole);
    const { done } = all.allLeft();
    all.add(later);
    all.add(one, whole);
    all.add(two, whole);
    all.remove(whole);
    all.remove(later);
    expect(all.size).toBe(2);
    all.remove(one);
    all.remove(one);
    expect(await isSettled(done)).toBe(false);
    all.remove(two);
    expect(await isSettled(done)).toBe(true);
  });

  it('does not wait when nothing is there', async () => {
    expect(await isSettled(new Departures<object>().allLeft().done)).toBe(true);
  });

  it('keeps nothing of who waits no more', () => {
    const all = new Departures<object>();
    for (let count = 0; count < 500; count++) {
      all.add(thing('stuck'));
      all.allLeft().cancel();
    }
    expect([all.size, all.watching]).toEqual([500, 0]);
  });

  it('lets each who waits go when it is time, in whatever order things leave', async () => {
    const all = new Departures<object>();
    const things = Array.from({ length: 5 }, (_, at) => thing(String(at)));
    const settled: number[] = [];
    for (const [at, one] of things.entries()) {
      all.add(one);
      void all.allLeft().done.then(() => settled.push(at));
    }
    const left: number[][] = [];
    for (const at of [3, 0, 4, 2, 1]) {
      all.remove(things[at] ?? {});
      await new Promise((resolve) => setImmediate(resolve));
      left.push([...settled]);
    }
    expect(left).toEqual([[], [0], [0], [0], [0, 1, 2, 3, 4]]);
  });
});
