import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApp, currentCall } from 'keelson';
import { type Call, type FaultEvent, GovernanceError, type Outcome, trustedPeer } from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { recordingLimit } from '../../doubles/recording-limit.js';
import { tracingSdk } from '../../doubles/tracing-sdk.js';
import { soon } from './mesh.js';
import type { Governing, ServerRow, Work } from './server-row.js';
import { connectRows } from './servers/connect.js';
import { grpcRows } from './servers/grpc.js';
import { httpRows } from './servers/http.js';
import { ticking } from './ticking.js';

// What governance means for whoever is called, over every server that can be governed: the same table, to the letter. What
// belongs to HTTP alone (body parsers, HEAD, keep-alive) is in test/integration/servers.test.ts.

const rows: readonly ServerRow[] = [...httpRows, ...grpcRows, ...connectRows];

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** What frameworks write of errors that nobody handles. */
const quietly = () => {
  const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  closers.push(() => spy.mockRestore());
};

const mine = new RangeError('mine');

describe.each(rows)('$name', (row) => {
  const { words } = row;

  /** A governed server whose work is written down, and a native client of it. */
  async function open(more: Partial<Governing> & { readonly limit?: number; readonly users?: string } = {}) {
    const { limit, users, ...governing } = more;
    const clock = manualClock(1000);
    const app = createApp({
      service: 'shop',
      signals: false,
      drainPauseMs: 1000,
      clock,
      ...(users === undefined ? {} : { endpoints: { users: [users] } }),
    });
    const ask = users === undefined ? undefined : app.fetch('users');
    const faults: FaultEvent[] = [];
    app.events.on('fault', (event) => faults.push(event));
    const record = recordingLimit(limit);
    const calls: Call[] = [];
    const ended: string[] = [];
    let letGo: (how: string | Promise<string>) => void = () => undefined;
    const held = new Promise<string>((resolve) => {
      letGo = resolve;
    });
    const works: Record<string, () => string | Promise<string>> = {
      greet: () => 'hello',
      current: () => String(currentCall() !== undefined && currentCall() === calls.at(-1)),
      break: () => Promise.reject(mine),
      refuse: () =>
        Promise.reject(new GovernanceError('OVERLOADED', 'no', { side: 'server', retryAfterMs: 1500 })),
      pass: () =>
        Promise.reject(new GovernanceError('OVERLOADED', 'no', { side: 'client', retryAfterMs: 1500 })),
      hold: () => held,
      call: async () => (await ask?.('/x'))?.text() ?? '',
    };
    const work: Work = async (what, call) => {
      if (call !== undefined) calls.push(call);
      try {
        return await (works[what] as () => string | Promise<string>)();
      } finally {
        ended.push(what);
      }
    };
    const server = await row.make(app, work, { limits: [record.gate], ...governing });
    const { port } = await app.serve(server, { host: '127.0.0.1' });
    const client = row.asker(port);
    closers.push(async () => {
      letGo('closing');
      client.close();
      await ticking(clock, app.stop());
    });
    const over = (...outcomes: readonly Outcome[]) =>
      soon(() => {
        expect(record.outcomes).toEqual(outcomes);
        expect(record.inflight()).toBe(0);
      });
    const arrived = (count: number) => soon(() => expect(calls.length).toBeGreaterThanOrEqual(count));
    return { app, clock, client, calls, ended, faults, record, letGo, over, arrived };
  }

  it('answers, and the call is a success by the name of its operation', async () => {
    const { client, calls, faults, over, record } = await open();
    expect(await client.ask('greet')).toMatchObject({ status: 'ok', text: 'hello', shed: undefined });
    await over('success');
    expect(calls).toMatchObject([{ side: 'server', service: 'shop', operation: row.operation }]);
    expect(record.asked).toHaveLength(1);
    expect(faults).toEqual([]);
  });

  it('runs the handler as the current call', async () => {
    const { client } = await open();
    expect((await client.ask('current')).text).toBe('true');
  });

  it('tells of an error of the handler natively and without its words, once, as a failure', async () => {
    quietly();
    const { client, faults, over } = await open();
    expect(await client.ask('break')).toMatchObject({ status: words.fault, shed: undefined });
    await over('failure');
    expect(faults.map(({ where, error }) => [where, error])).toEqual([[`handler of ${row.operation}`, mine]]);
    expect((await client.ask('greet')).status).toBe('ok');
  });

  it('tells of a refusal of its own with its mark and its time, which is no fault and no failure', async () => {
    quietly();
    const { client, faults, record } = await open();
    expect(await client.ask('refuse')).toEqual({
      status: words.overload,
      text: undefined,
      shed: 'OVERLOADED',
      retryAfterMs: 1500,
    });
    await soon(() => expect(record.outcomes).toHaveLength(1));
    expect(record.outcomes).not.toContain('failure');
    expect(record.inflight()).toBe(0);
    expect(faults).toEqual([]);
  });

  it('tells of a refusal by a callee without its mark, as a failure of its own', async () => {
    quietly();
    const { client, faults, over } = await open();
    expect(await client.ask('pass')).toEqual({
      status: words.calleeOverloaded,
      text: undefined,
      shed: undefined,
      retryAfterMs: undefined,
    });
    await over('failure');
    expect(faults).toEqual([]);
  });

  it('sheds what is beyond its limit before the handler runs', async () => {
    const { client, calls, letGo, over, arrived } = await open({ limit: 1 });
    const first = client.ask('hold');
    await arrived(1);
    expect(await client.ask('greet')).toMatchObject({ status: words.overload, shed: 'OVERLOADED' });
    expect(calls).toHaveLength(1);
    letGo('late');
    expect((await first).text).toBe('late');
    await over('success');
  });

  it('tells the handler of a caller that has gone, which says nothing of the server', async () => {
    const { client, calls, faults, letGo, over, arrived } = await open();
    const abort = new AbortController();
    const running = client.ask('hold', { signal: abort.signal }).then(
      () => 'answered',
      () => 'gone',
    );
    await arrived(1);
    const [call] = calls as [Call];
    expect(call.cancel.aborted).toBe(false);
    abort.abort();
    expect(await running).toBe('gone');
    await soon(() => expect(call.cancel.signal.aborted).toBe(true));
    letGo('late');
    await over('ignored');
    expect(faults).toEqual([]);
  });

  it('ends a call whose time is over, and tells the handler; what that says later has no effect', async () => {
    const { client, calls, clock, faults, letGo, over, ended, arrived } = await open({ timeoutMs: 5000 });
    const running = client.ask('hold');
    await arrived(1);
    await clock.advance(5000);
    expect(await running).toMatchObject({ status: words.deadline, text: undefined });
    expect(calls[0]?.cancel.aborted).toBe(true);
    letGo('late');
    await soon(() => expect(ended).toEqual(['hold']));
    await over('failure');
    expect(await client.ask('greet')).toMatchObject({ status: 'ok', text: 'hello' });
    await over('failure', 'success');
    expect(faults).toEqual([]);
  });

  it('believes a caller who tells how long it waits, where that is less than its own time', async () => {
    const { client, calls, clock } = await open({ timeoutMs: 20_000 });
    await client.ask('greet', { leftMs: 10_000 });
    await client.ask('greet', { leftMs: 60_000 });
    await client.ask('greet');
    const left = calls.map(({ deadline }) => deadline - clock.now());
    expect(left[0]).toBeGreaterThan(0);
    expect(left[0]).toBeLessThanOrEqual(10_000);
    expect(left.slice(1)).toEqual([20_000, 20_000]);
  });

  it('passes on what the call brought along to whom it calls itself', async () => {
    const sdk = tracingSdk();
    closers.push(() => sdk.stop());
    const arrivals: http.IncomingHttpHeaders[] = [];
    const users = http.createServer((req, res) => {
      arrivals.push(req.headers);
      res.end('Ada');
    });
    await new Promise<void>((resolve) => users.listen(0, '127.0.0.1', resolve));
    closers.push(() => users.close());
    const { port } = users.address() as AddressInfo;
    const { client, calls, over } = await open({ users: `http://127.0.0.1:${port}` });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const metadata = {
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
      'x-md-global-color': 'red',
      'x-md-local-hop': 'one',
    };
    expect((await client.ask('call', { metadata, leftMs: 9000 })).text).toBe('Ada');
    expect(calls[0]?.values.get(trustedPeer)).toBe(true);
    expect(arrivals).toHaveLength(1);
    const [sent] = arrivals;
    expect(sent?.['x-md-global-color']).toBe('red');
    expect(sent?.['x-md-local-hop']).toBeUndefined();
    expect(sent?.['traceparent']).toContain(traceId);
    expect(Number(sent?.['x-keelson-timeout-ms'])).toBeGreaterThan(0);
    expect(Number(sent?.['x-keelson-timeout-ms'])).toBeLessThanOrEqual(9000);
    await over('success');
    const [span] = await soon(() => {
      const spans = sdk.ofKind('SERVER');
      expect(spans).toHaveLength(1);
      return spans;
    });
    expect([span?.spanContext().traceId, span?.name]).toEqual([traceId, row.operation.replace(/^\//, '')]);
  });

  it('finishes what is under way when it leaves, and takes nothing after that', async () => {
    const { app, client, clock, letGo, over, arrived } = await open();
    const running = client.ask('hold');
    await arrived(1);
    const stopping = app.stop();
    await clock.advance(1000);
    expect(app.state).toBe('draining');
    letGo('last');
    expect(await running).toMatchObject({ status: 'ok', text: 'last' });
    await ticking(clock, stopping);
    await over('success');
    const late = await client.ask('greet', { leftMs: 3000 }).catch(() => undefined);
    expect(late?.text).toBeUndefined();
    await over('success');
  });
});
