import { status } from '@grpc/grpc-js';
import { type AddHealthOptions, Health, type HealthSource, unknownService } from './health.js';
import { healthDefinition } from './health-definition.js';
import type { HealthRequest, HealthResponse } from './health-message.js';
import { niceError } from './nice-error.js';

/** The health service as nice-grpc implements services. */
export interface NiceHealth {
  /** The state at this moment. */
  Check(request: HealthRequest): Promise<HealthResponse>;
  /** The state, and every change of it until the server begins to stop. */
  Watch(
    request: HealthRequest,
    context: { readonly signal: AbortSignal },
  ): AsyncGenerator<HealthResponse, void, undefined>;
}

/** Waits for the next change, or for the end of the call. */
function changed(health: Health, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      off();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const off = health.onChange(done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

/**
 * The health service of an app for a server of nice-grpc; see {@link addHealth} for what it answers.
 *
 * @example
 * ```ts
 * const server = createServer({ interceptors: [governServer(app)] });
 * server.add(...niceHealth(app));
 * ```
 */
export function niceHealth(
  app: HealthSource,
  options?: AddHealthOptions,
): [definition: typeof healthDefinition, implementation: NiceHealth] {
  const health = new Health(app, options);
  const implementation: NiceHealth = {
    async Check({ service }) {
      if (health.knows(service)) return health.of(service);
      throw niceError(status.NOT_FOUND, unknownService);
    },
    async *Watch({ service }, { signal }) {
      let told: number | undefined;
      while (!signal.aborted) {
        const response = health.of(service);
        if (response.status !== told) yield response;
        told = response.status;
        if (health.ending) return;
        await changed(health, signal);
      }
    },
  };
  return [healthDefinition, implementation];
}
