import { type Channel, connectivityState } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { Connectivity } from '../../../src/grpc/connectivity.js';

const { CONNECTING, IDLE, READY, SHUTDOWN, TRANSIENT_FAILURE } = connectivityState;

/** The channel of an endpoint whose state a test sets. */
function fake(initial: connectivityState) {
  let state = initial;
  let watchers: (() => void)[] = [];
  const asked: boolean[] = [];
  const channel = {
    getConnectivityState: (connect: boolean) => {
      asked.push(connect);
      return state;
    },
    watchConnectivityState: (_from: connectivityState, _deadline: number, tell: () => void) => {
      watchers.push(tell);
    },
  } as unknown as Channel;
  const become = (next: connectivityState) => {
    state = next;
    const told = watchers;
    watchers = [];
    for (const tell of told) tell();
  };
  return { channel, become, asked, watchers: () => watchers.length };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the state of several channels', () => {
  it.each([
    [[], IDLE],
    [[IDLE], IDLE],
    [[TRANSIENT_FAILURE, IDLE], IDLE],
    [[TRANSIENT_FAILURE, IDLE, CONNECTING], CONNECTING],
    [[TRANSIENT_FAILURE, CONNECTING, READY, IDLE], READY],
    [[TRANSIENT_FAILURE, TRANSIENT_FAILURE], TRANSIENT_FAILURE],
  ])('%j: %i', (states, whole) => {
    const connectivity = new Connectivity();
    for (const state of states) connectivity.add(fake(state).channel);
    expect(connectivity.state(false)).toBe(whole);
  });

  it('connects those that come after it was asked', () => {
    const connectivity = new Connectivity();
    expect(connectivity.state(true)).toBe(CONNECTING);
    const late = fake(IDLE);
    connectivity.add(late.channel);
    expect(late.asked).toContain(true);
  });
});

describe('a watcher', () => {
  it('is told once of another state, however it comes about', async () => {
    const connectivity = new Connectivity();
    const one = fake(IDLE);
    connectivity.add(one.channel);
    const told: string[] = [];
    const watch = (name: string, from: connectivityState) =>
      connectivity.watch(from, Number.POSITIVE_INFINITY, (error) => told.push(error ? 'error' : name));
    watch('became', IDLE);
    await turn();
    expect(told).toEqual([]);
    one.become(CONNECTING);
    await turn();
    one.become(READY);
    await turn();
    expect(told).toEqual(['became']);
    watch('is already', IDLE);
    await turn();
    watch('left', READY);
    connectivity.remove(one.channel);
    await turn();
    watch('joined', IDLE);
    const two = fake(READY);
    connectivity.add(two.channel);
    await turn();
    watch('closed', READY);
    connectivity.close();
    await turn();
    expect(told).toEqual(['became', 'is already', 'left', 'joined', 'closed']);
    expect(connectivity.state(true)).toBe(SHUTDOWN);
    expect(() => watch('late', READY)).toThrow('shut down');
  });

  it('asks a channel only while somebody waits, and once at a time', async () => {
    const connectivity = new Connectivity();
    const one = fake(IDLE);
    connectivity.add(one.channel);
    const never = () => undefined;
    for (let i = 0; i < 5; i++) connectivity.watch(IDLE, Number.POSITIVE_INFINITY, never);
    expect(one.watchers()).toBe(1);
    one.become(CONNECTING);
    await turn();
    one.become(READY);
    await turn();
    expect(one.watchers()).toBe(0);
  });

  it('is told when its time is over', async () => {
    const connectivity = new Connectivity();
    const late = (deadline: number | Date) =>
      new Promise<Error | undefined>((resolve) => connectivity.watch(IDLE, deadline, resolve));
    expect((await late(Date.now() + 5))?.message).toContain('Deadline passed');
    expect(await late(new Date(Date.now() - 5))).toBeInstanceOf(Error);
  });
});
