import { type DispatchQueue, dispatchQueue } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { ServerQueues } from '../../../src/stack/server-queue.js';

function scene() {
  const watched: DispatchQueue[] = [];
  const queues = new ServerQueues({
    defaults: {},
    listener: {},
    watch: (queue) => void watched.push(queue),
  });
  return { queues, watched };
}

describe('the servers of an app', () => {
  it('share one queue, since they share a thread', () => {
    const { queues, watched } = scene();
    const one = queues.of('app.listener', undefined);
    expect(one).toBeDefined();
    expect(queues.of('governServer', undefined)).toBe(one);
    expect(watched).toEqual([one]);
  });

  it('have one of their own by options, and the one that is given, watched once', () => {
    const { queues, watched } = scene();
    const shared = queues.of('app.listener', undefined);
    const own = queues.of('app.listener', { budgetMs: 100 });
    const given = dispatchQueue();
    expect(queues.of('app.listener', given)).toBe(given);
    expect(queues.of('governServer', given)).toBe(given);
    expect(own).not.toBe(shared);
    expect(watched).toEqual([shared, own, given]);
  });

  it('have none where none is wanted', () => {
    const { queues, watched } = scene();
    expect(queues.of('app.listener', false)).toBeUndefined();
    expect(watched).toEqual([]);
  });

  it.each([
    [[], 'app.listener.queue must be options, a dispatchQueue() or false'],
    [true, 'app.listener.queue must be options, a dispatchQueue() or false'],
    [{ budgetMs: -1 }, 'app.listener.queue.budgetMs must be'],
  ])('say what is wrong with %j', (queue, message) => {
    const { queues } = scene();
    expect(() => queues.of('app.listener', queue as never)).toThrow(message);
  });
});
