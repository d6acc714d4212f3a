import { isMainThread } from 'node:worker_threads';
import { processWarning } from '../otlp/span-exporter-options.js';
import { type Registered, start } from './start.js';

// One per process, whichever copy of the package is asked first: a program may import it and be started with it.
const slot = Symbol.for('keelson.register.v1');
const home = globalThis as { [slot]?: Registered };

home[slot] ??= start({
  environment: process.env,
  program: process.argv[1],
  cwd: process.cwd(),
  // A worker thread is started with what the process was started with, and that one has told it.
  note: isMainThread ? processWarning : () => undefined,
  warn: processWarning,
});

/** What was set up when this was imported. */
export const registered: Registered = home[slot];
