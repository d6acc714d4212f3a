import type { App } from 'keelson';
import { afterEach } from 'vitest';
import { idle } from './grpc-replicas.js';

/**
 * What a test of this file opens: put there, it is ended after the test. Apps have to have no call in flight by then, and
 * are stopped before what they call.
 */
export function tidied() {
  const apps: App[] = [];
  const closers: (() => unknown)[] = [];
  afterEach(async () => {
    const [used, ends] = [apps.splice(0), closers.splice(0).reverse()];
    try {
      for (const app of used) await idle(app);
    } finally {
      for (const app of used) await app.stop();
      for (const end of ends) await end();
    }
  });
  return { apps, closers };
}
