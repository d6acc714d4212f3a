import { type Waiter, waitingRoom } from 'keelson/registry';
import { describe, expect, it } from 'vitest';

function waiter(...keys: string[]): Waiter & { readonly told: string[] } {
  const told: string[] = [];
  return { keys, told, wake: (key) => told.push(key), dismiss: () => told.push('dismissed') };
}

describe('waiting room', () => {
  it('wakes who waits for that app, once, and lets them out of all others', () => {
    const room = waitingRoom();
    const [both, one, two] = [waiter('1', '2'), waiter('1'), waiter('2')];
    for (const each of [both, one, two]) room.enter(each);
    expect([room.size, room.watches]).toEqual([3, 4]);
    expect(room.wake('1')).toBe(2);
    expect(room.wake('2')).toBe(1);
    expect(room.wake('1')).toBe(0);
    expect([both.told, one.told, two.told]).toEqual([['1'], ['1'], ['2']]);
    expect([room.size, room.watches]).toEqual([0, 0]);
  });

  it('lets nobody be answered who left', () => {
    const room = waitingRoom();
    const one = waiter('1');
    room.enter(one);
    room.enter(one);
    expect(room.watches).toBe(1);
    expect(room.leave(one)).toBe(true);
    expect(room.leave(one)).toBe(false);
    expect([room.wake('1'), room.clear()]).toEqual([0, 0]);
    expect(one.told).toEqual([]);
  });

  it('leaves one that comes back while it is woken for the next change', () => {
    const room = waitingRoom();
    let woken = 0;
    const eager: Waiter = {
      keys: ['1'],
      wake: () => {
        woken++;
        room.enter(eager);
      },
      dismiss: () => undefined,
    };
    room.enter(eager);
    expect(room.wake('1')).toBe(1);
    expect([woken, room.size]).toEqual([1, 1]);
  });

  it('dismisses all when it closes', () => {
    const room = waitingRoom();
    const all = [waiter('1'), waiter('1', '2')];
    for (const each of all) room.enter(each);
    expect(room.clear()).toBe(2);
    expect(all.map(({ told }) => told)).toEqual([['dismissed'], ['dismissed']]);
    expect([room.size, room.watches]).toEqual([0, 0]);
  });
});
