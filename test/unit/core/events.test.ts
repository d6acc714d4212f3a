import type { BreakerEvent, FaultEvent } from 'keelson/core';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: buses are made by apps and stacks, the index stays free of their dependency
import { createBus } from '../../../src/core/events.js';

const event: BreakerEvent = { service: 'users', endpoint: undefined, from: 'closed', to: 'open' };

describe('a bus', () => {
  it('tells all listeners of that name, in order', () => {
    const bus = createBus();
    const told: unknown[] = [];
    bus.on('breaker', (one) => told.push(['a', one]));
    bus.on('breaker', (one) => told.push(['b', one]));
    bus.on('shedding', () => told.push('never'));
    bus.emit('breaker', event);
    expect(told).toEqual([
      ['a', event],
      ['b', event],
    ]);
  });

  it('lets one listener go and leaves the others', () => {
    const bus = createBus();
    const told: string[] = [];
    const listen = () => told.push('same');
    const off = bus.on('breaker', listen);
    bus.on('breaker', listen);
    bus.on('breaker', () => told.push('other'));
    off();
    off();
    bus.emit('breaker', event);
    expect(told).toEqual(['same', 'other']);
  });

  it('knows whether anybody listens', () => {
    const bus = createBus();
    expect(bus.has('breaker')).toBe(false);
    const off = bus.on('breaker', () => undefined);
    expect([bus.has('breaker'), bus.has('shedding')]).toEqual([true, false]);
    off();
    expect(bus.has('breaker')).toBe(false);
  });

  it('shares nothing with another bus', () => {
    const [one, other] = [createBus(), createBus()];
    let told = 0;
    one.on('breaker', () => told++);
    other.emit('breaker', event);
    expect(told).toBe(0);
  });

  it('makes a fault of what a listener throws, and tells the others', () => {
    const bus = createBus();
    const faults: FaultEvent[] = [];
    const error = new Error('listener');
    let told = 0;
    bus.on('breaker', () => {
      throw error;
    });
    bus.on('breaker', () => told++);
    bus.on('fault', (fault) => faults.push(fault));
    expect(() => bus.emit('breaker', event)).not.toThrow();
    expect(told).toBe(1);
    expect(faults).toEqual([{ where: 'breaker', error }]);
  });

  it('makes a fault of what an asynchronous listener rejects with', async () => {
    const bus = createBus();
    const faults: FaultEvent[] = [];
    const error = new Error('later');
    bus.on('lifecycle', async () => {
      await Promise.resolve();
      throw error;
    });
    bus.on('fault', (fault) => faults.push(fault));
    bus.emit('lifecycle', { service: 's', state: 'ready' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(faults).toEqual([{ where: 'lifecycle', error }]);
  });

  it('has nobody left to tell when a fault listener throws, or none is there', async () => {
    const bus = createBus();
    bus.on('breaker', () => {
      throw new Error('first');
    });
    expect(() => bus.emit('breaker', event)).not.toThrow();
    let told = 0;
    bus.on('fault', () => {
      told++;
      throw new Error('second');
    });
    bus.on('fault', () => Promise.reject(new Error('third')) as never);
    bus.emit('breaker', event);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toBe(1);
  });

  it('lets a listener leave or join while it is being told', () => {
    const bus = createBus();
    const told: string[] = [];
    const off = bus.on('breaker', () => {
      told.push('once');
      off();
      bus.on('breaker', () => told.push('joined'));
    });
    bus.on('breaker', () => told.push('stays'));
    bus.emit('breaker', event);
    expect(told).toEqual(['once', 'stays']);
    bus.emit('breaker', event);
    expect(told).toEqual(['once', 'stays', 'stays', 'joined']);
  });
});
