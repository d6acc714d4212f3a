import type { AddressInfo, Server } from 'node:net';
import { type App, createApp } from 'keelson';
import type { FaultEvent, Outcome } from 'keelson/core';
import { expect, vi } from 'vitest';
import { type RecordingLimit, recordingLimit } from './recording-limit.js';

/** An app whose calls are on record, for the tests of one adapter. */
export interface GovernedApp {
  readonly app: App;
  readonly record: RecordingLimit;
  readonly faults: readonly FaultEvent[];
  /** Listens on a free port of the loopback. */
  listen(
    server: Server & { closeAllConnections?(): void },
  ): Promise<{ readonly url: string; readonly port: number }>;
  /** Waits until as many calls are over, and nothing is in flight. */
  settled(outcomes: readonly Outcome[]): Promise<void>;
  close(): Promise<void>;
}

export function governedApp(limit?: number): GovernedApp {
  const app = createApp({ service: 'shop', signals: false, drainPauseMs: 0 });
  const record = recordingLimit(limit);
  const faults: FaultEvent[] = [];
  const closers: (() => unknown)[] = [];
  app.events.on('fault', (event) => faults.push(event));
  return {
    app,
    record,
    faults,
    async listen(server) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      closers.push(async () => {
        server.closeAllConnections?.();
        await new Promise((resolve) => server.close(resolve));
      });
      const { port } = server.address() as AddressInfo;
      return { url: `http://127.0.0.1:${port}`, port };
    },
    settled: (outcomes) =>
      vi.waitFor(() => {
        expect(record.outcomes).toEqual(outcomes);
        expect(record.inflight()).toBe(0);
      }),
    async close() {
      for (const close of closers.reverse()) await close();
      await app.stop();
    },
  };
}
