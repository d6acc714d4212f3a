import {
  type Call,
  createCall,
  derive,
  fork,
  nextNotice,
  noticeNext,
  noticeStart,
  startNotice,
} from 'keelson/core';
import { describe, expect, it } from 'vitest';

const inbound = (): Call => createCall({ side: 'server', service: 'users', operation: 'GET' });

describe('noticeStart', () => {
  it('tells once, whichever form of the call is told of', () => {
    const call = inbound();
    let told = 0;
    call.values.set(startNotice, () => {
      told++;
    });
    noticeStart(derive(call, { priority: 1 }));
    noticeStart(call);
    noticeStart(fork(call));
    expect(told).toBe(1);
  });

  it('does nothing on a call whose sender does not want to know', () => {
    const call = inbound();
    noticeStart(call);
    expect(call.values.get(startNotice)).toBeUndefined();
  });

  it('drops what a notice throws, and does not tell it again', () => {
    const call = inbound();
    let told = 0;
    call.values.set(startNotice, () => {
      told++;
      throw new Error('the socket is gone');
    });
    noticeStart(call);
    noticeStart(call);
    expect(told).toBe(1);
  });

  it('tells once when the one who is told looks again', () => {
    const call = inbound();
    let told = 0;
    call.values.set(startNotice, () => {
      told++;
      noticeStart(call);
    });
    noticeStart(call);
    expect(told).toBe(1);
  });
});

describe('noticeNext', () => {
  it('tells once, and nothing of the start', () => {
    const call = inbound();
    const told: string[] = [];
    call.values.set(nextNotice, () => {
      told.push('next');
      throw new Error('the socket is gone');
    });
    call.values.set(startNotice, () => void told.push('start'));
    noticeNext(call);
    noticeNext(call);
    expect(told).toEqual(['next']);
    noticeStart(call);
    expect(told).toEqual(['next', 'start']);
    noticeNext(inbound());
  });
});
