import type { Call } from './call.js';

interface Storage {
  getStore(): Call | undefined;
  run<T>(call: Call | undefined, run: () => T): T;
}

// One per process, whichever copy of the package is asked first.
const slot = Symbol.for('keelson.current.v1');
const home = globalThis as { [slot]?: Storage; AsyncLocalStorage?: new () => Storage; process?: unknown };

/** What is current at one moment, of every AsyncLocalStorage. */
export interface Surroundings {
  /** Runs a function, and all that it starts, as if it ran where this was taken. Once or several times. */
  runInAsyncScope(run: () => void): void;
}

interface AsyncHooks {
  readonly AsyncLocalStorage: new () => Storage;
  readonly AsyncResource: new (type: string) => Surroundings;
}

const host = (): AsyncHooks | undefined => {
  const { process } = home as { process?: { getBuiltinModule?(name: string): AsyncHooks | undefined } };
  return process?.getBuiltinModule?.('node:async_hooks');
};

/**
 * Found without an import: this folder also runs where there is no `node:async_hooks`, and a process that serves no
 * calls never pays for async hooks.
 */
function storageClass(): (new () => Storage) | undefined {
  return home.AsyncLocalStorage ?? host()?.AsyncLocalStorage;
}

/** The inbound call that the running code serves, if any. Outgoing calls inherit its deadline, trace and metadata. */
export function currentCall(): Call | undefined {
  return home[slot]?.getStore();
}

/**
 * Runs a function, and all that it starts, as part of a call. One `run` per inbound request: on Node 20 an `await`
 * inside costs three times as much as outside.
 *
 * Where the platform has no `AsyncLocalStorage` the function simply runs, and calls have to be passed on by hand.
 */
export function runWithCall<T>(call: Call, run: () => T): T {
  let storage = home[slot];
  if (storage === undefined) {
    const Storage = storageClass();
    if (Storage === undefined) return run();
    storage = new Storage();
    home[slot] = storage;
  }
  return storage.run(call, run);
}

/**
 * Runs a function, and all that it starts, as part of no call: work that is done once for many calls must not inherit the
 * deadline, the trace or the metadata of the one that happened to begin it.
 */
export function runWithoutCall<T>(run: () => T): T {
  const storage = home[slot];
  return storage === undefined ? run() : storage.run(undefined, run);
}

let Resource: AsyncHooks['AsyncResource'] | undefined | null = null;
const nowhere: Surroundings = { runInAsyncScope: (run) => run() };

/**
 * Takes what is current, for something that runs later out of somebody else's timer or turn: the call, the span of a
 * tracer, whatever a user keeps in an AsyncLocalStorage. Costs about 2 µs on Node 20, where
 * `AsyncLocalStorage.snapshot` costs 30.
 *
 * Where the platform has no `AsyncResource`, what runs later runs as part of whatever is current then.
 */
export function surroundings(): Surroundings {
  if (Resource === null) Resource = host()?.AsyncResource;
  return Resource === undefined ? nowhere : new Resource('keelson.waiting');
}
