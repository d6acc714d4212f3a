import {
  type AxiosAdapter,
  type AxiosConfig,
  type AxiosErrorClass,
  type AxiosLike,
  type AxiosResponseLike,
  type AxiosStaticLike,
  isAxiosError,
  reconfigured,
} from './native.js';

/** Sends as the instance would have done without us, below its interceptors and transforms. */
export interface NativeSender {
  readonly send: AxiosAdapter;
  /** Whether it goes by the `fetch` adapter. */
  readonly byFetch: boolean;
  /** The class of its errors; `undefined` when it cannot be had. */
  errorClass(): Promise<AxiosErrorClass | undefined>;
}

/** An instance that does nothing but find the adapter. */
interface Bare {
  readonly defaults: Record<string, unknown>;
  request(config: object): Promise<AxiosResponseLike>;
}

type Find = (adapter: unknown, config: unknown) => AxiosAdapter;

/** There is none of this name, and axios says so with an error of its class. */
const unknownAdapter = 'keelson';

/**
 * Only `axios` itself can find an adapter by its name, and an instance does not lead there; but what it creates finds one
 * for each request. Its defaults are emptied: all that apply are in the config by then, and some an interceptor may have
 * taken out.
 */
function bareOf(instance: AxiosLike): Bare | undefined {
  const bare = instance.create?.({}) as Bare | undefined;
  if (typeof bare?.request !== 'function') return undefined;
  for (const name of Object.keys(bare.defaults)) delete bare.defaults[name];
  return bare;
}

function finderOf(instance: AxiosLike, given: AxiosStaticLike | undefined): Find | undefined {
  const axios = given ?? (instance as AxiosLike & Partial<AxiosStaticLike>);
  return typeof axios.getAdapter === 'function' ? (axios.getAdapter as Find) : undefined;
}

function sendBy(adapter: unknown, find: Find | undefined, bare: Bare | undefined): AxiosAdapter {
  if (typeof adapter === 'function') return adapter as AxiosAdapter;
  if (find !== undefined) return (config) => find(adapter, config)(config);
  if (bare === undefined)
    throw new TypeError(
      'governAxios: this instance cannot find its adapter; give axios itself as the option `axios`, or an adapter that is a function',
    );
  return async (config) => {
    try {
      const response = await bare.request({
        ...config,
        adapter,
        transformRequest: [],
        transformResponse: [],
      });
      response.config = config;
      return response;
    } catch (error) {
      throw isAxiosError(error) ? reconfigured(error, config) : error;
    }
  };
}

/** Axios takes the first that the platform has, and no server has `xhr`. */
function isByFetch(adapter: unknown): boolean {
  return [adapter].flat().find((one) => one !== 'xhr') === 'fetch';
}

/** Provokes an error to see its class. */
async function provoked(find: Find | undefined, bare: Bare | undefined): Promise<unknown> {
  try {
    if (find !== undefined) return find(unknownAdapter, {});
    return await bare?.request({ adapter: unknownAdapter });
  } catch (error) {
    return error;
  }
}

/**
 * Finds out how an instance sends, before its adapter is replaced.
 *
 * @param instance - the user's
 * @param given - `axios` itself, if the user gave it
 * @throws TypeError when there is no way
 */
export function nativeSender(instance: AxiosLike, given: AxiosStaticLike | undefined): NativeSender {
  const adapter = instance.defaults.adapter ?? given?.defaults?.adapter;
  const find = finderOf(instance, given);
  const bare = find === undefined ? bareOf(instance) : undefined;
  const send = sendBy(adapter, find, bare);
  let known: Promise<AxiosErrorClass | undefined> | undefined;
  return {
    send: (config: AxiosConfig) => send(config),
    byFetch: isByFetch(adapter),
    errorClass: () => {
      known ??= provoked(find, bare).then((error) =>
        error instanceof Error ? (error.constructor as AxiosErrorClass) : undefined,
      );
      return known;
    },
  };
}
