import { createApp } from 'keelson';
import { bbr } from 'keelson/limiter';
import { afterEach, describe, expect, it, vi } from 'vitest';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function appOf() {
  const app = createApp({ service: 'shop', signals: false, drainPauseMs: 0 });
  stops.push(() => app.stop());
  return app;
}

describe('limits that go by the load of an app', () => {
  it('are told of it once, however many servers they are of, and until it stops', async () => {
    const end = vi.fn();
    const heed = vi.fn(() => end);
    const gate = { ...bbr(), code: 'OVERLOADED', tryAcquire: () => null, heed } as const;
    const app = appOf();
    for (let i = 0; i < 3; i++) app.listener(() => undefined, { limits: [gate] });
    expect(heed).toHaveBeenCalledTimes(1);
    expect(end).not.toHaveBeenCalled();
    await app.stop();
    await app.stop();
    expect(end).toHaveBeenCalledTimes(1);
  });

  it('go by that of the app that is left when another stops, and by none at the end', async () => {
    const limiter = bbr();
    const loadNow = () => limiter.snapshot(0).load;
    const [main, admin] = [appOf(), appOf()];
    main.listener(() => undefined, { limits: [limiter] });
    expect(loadNow()).toBe(0);
    admin.listener(() => undefined, { limits: [limiter] });
    await admin.stop();
    expect(loadNow()).toBe(0);
    await main.stop();
    expect(loadNow()).toBeUndefined();
  });

  it('stay without it where they have a load of their own', () => {
    const limiter = bbr({ load: () => 0.3 });
    appOf().listener(() => undefined, { limits: [limiter] });
    expect(limiter.snapshot(0).load).toBe(0.3);
  });
});
