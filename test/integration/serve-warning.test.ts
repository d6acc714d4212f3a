import http from 'node:http';
import { createApp } from 'keelson';
import { type BbrLimiter, bbr } from 'keelson/limiter';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { tidied } from '../doubles/tidied.js';

const { apps } = tidied();
afterEach(() => vi.restoreAllMocks());

function appOf() {
  const app = createApp({ service: 'shop', signals: false, drainPauseMs: 0 });
  apps.push(app);
  return app;
}

const plain = () => http.createServer((_req, res) => void res.end('ok'));

describe('an app that serves', () => {
  const warned = () => {
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    return () => emit.mock.calls.map(([text, options]) => [text, (options as { code?: string }).code]);
  };

  it('and governs nothing says so, once', async () => {
    const told = warned();
    const app = appOf();
    await app.serve(plain());
    await app.serve(plain());
    expect(told()).toEqual([
      [
        expect.stringMatching(
          /^app "shop" serves a server and governs none: give it app\.listener\(handler\)/,
        ),
        'KEELSON_UNGOVERNED',
      ],
    ]);
  });

  it('and means it is left alone', async () => {
    const told = warned();
    await appOf().serve(plain(), { governed: false });
    expect(told()).toEqual([]);
  });

  it('and governs is left alone, also with another server beside it, or the listener inside of something else', async () => {
    const told = warned();
    const app = appOf();
    const listener = app.listener((_req, res) => void res.end('ok')) as http.RequestListener;
    await app.serve(http.createServer((req, res) => listener(req, res)));
    await app.serve(plain());
    expect(told()).toEqual([]);
  });

  it('and cannot register says so, once, unless somebody listens', async () => {
    const told = warned();
    const clock = manualClock();
    const lost = async (listens: boolean) => {
      const app = createApp({
        service: 'shop',
        registry: 'http://127.0.0.1:1',
        signals: false,
        drainPauseMs: 0,
        clock,
      });
      apps.push(app);
      const heard: string[] = [];
      if (listens) app.events.on('registry', ({ type }) => heard.push(type));
      void app.serve(http.createServer(app.listener(() => undefined)), { host: '127.0.0.1' });
      await vi.waitFor(async () => {
        await clock.advance(10_000);
        expect(listens ? heard : told()).not.toEqual([]);
      }, 10_000);
      for (let more = 0; more < 5; more++) await clock.advance(30_000);
    };
    await lost(false);
    const once = [
      [expect.stringMatching(/^app "shop" is not registered: nobody confirms it \(/), 'KEELSON_REGISTRY'],
    ];
    expect(told()).toEqual(once);
    await lost(true);
    expect(told()).toEqual(once);
  });

  it('and cannot is not warned of what never came to be', async () => {
    const told = warned();
    const app = appOf();
    const { port } = await app.serve(http.createServer(app.listener(() => undefined)), {
      host: '127.0.0.1',
    });
    await expect(appOf().serve(plain(), { port, host: '127.0.0.1' })).rejects.toThrow('EADDRINUSE');
    expect(told()).toEqual([]);
  });
});

describe('a limiter without a load of its own, among the limits of an app', () => {
  it('heeds the backlog that the app measures', () => {
    const limiter: BbrLimiter = bbr();
    expect(limiter.snapshot(0).load).toBeUndefined();
    appOf().listener(() => undefined, { limits: [limiter] });
    expect(limiter.snapshot(0).load).toBeGreaterThanOrEqual(0);
  });
});
