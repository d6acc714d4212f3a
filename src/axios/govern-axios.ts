import { inNameOf } from '../core/in-name-of.js';
import { resolveOptions, wrongKind } from '../core/options.js';
import type { CallOptions } from '../http/call-options.js';
import type { App } from '../stack/app.js';
import type { AppClientOptions } from '../stack/app-client.js';
import type { AxiosAnswer } from './answer.js';
import { AxiosClient } from './axios-client.js';
import { axiosWire } from './axios-wire.js';
import { Hosts, listedServices } from './hosts.js';
import type { AxiosAdapter, AxiosLike, AxiosStaticLike } from './native.js';
import { nativeSender } from './native-sender.js';
import type { AxiosRequest } from './request.js';

// biome-ignore lint/suspicious/noTsIgnore: in declarations there is an error for some and none for others
/** @ts-ignore Without axios there is nothing to add to, and the compiler need not mind. */
declare module 'axios' {
  // biome-ignore lint/suspicious/noTsIgnore: see above
  /** @ts-ignore Versions of axios differ in the parameters of this type, and other declarations use it without any. */
  // biome-ignore lint/suspicious/noExplicitAny: the defaults have to be those of axios
  interface AxiosRequestConfig<D = any, P = any> {
    /** How this one call is governed; `false` sends it as if nothing was. */
    governance?: CallOptions | false | undefined;
  }
}

/** Options of {@link governAxios}: which requests are governed, and how. `service`, `services` or both have to be given. */
export interface GovernAxiosOptions
  extends Omit<AppClientOptions<AxiosRequest, AxiosAnswer>, 'wire' | 'semantics' | 'caller'> {
  /**
   * The service of the whole instance: it gets every request whose URL is relative, is on the host of the instance's own
   * base URL, or on a host of the service's name.
   *
   * @defaultValue `undefined`
   */
  readonly service?: string | undefined;
  /**
   * Services by the host in the URLs that are meant for them, with its port if it has one, or a list of services that are
   * hosts themselves.
   *
   * @defaultValue `undefined`
   */
  readonly services?: readonly string[] | Readonly<Record<string, string>> | undefined;
  /**
   * Route templates that name operations, first match wins: `/users/:id`, `/files/*`, `POST /orders`. Without a match the
   * operation is the method alone. More of them make breakers and metrics finer.
   *
   * @defaultValue `[]`
   */
  readonly routes?: readonly string[] | undefined;
  /**
   * `axios` itself, the default export. With it each attempt costs some 15 µs less, for an instance cannot find its adapter
   * by name except by a request of its own. No effect on `axios` itself as the instance, and where the adapter is a
   * function.
   *
   * @defaultValue `undefined`
   */
  readonly axios?: AxiosStaticLike | undefined;
}

/** Defaults of {@link GovernAxiosOptions}; those of its policy are `clientPolicyDefaults` of `keelson/stack`. */
export const governAxiosDefaults = {
  service: undefined,
  services: undefined,
  routes: [],
  axios: undefined,
} as const;

interface Settings {
  readonly service: string | undefined;
  readonly services: readonly string[] | Readonly<Record<string, string>> | undefined;
  readonly routes: readonly string[];
  readonly axios: AxiosStaticLike | undefined;
}

function checkInstance(instance: AxiosLike | undefined): void {
  if (typeof instance?.defaults !== 'object' || typeof instance.getUri !== 'function')
    throw new TypeError('governAxios: the first argument must be an axios instance, or axios itself');
}

function optionsOf(service: string | GovernAxiosOptions, count: number): GovernAxiosOptions {
  if (count > 3)
    throw new TypeError(
      "governAxios takes three arguments; options go with the name: { service: 'users', routes: … }",
    );
  if (typeof service === 'string') return { service };
  if (typeof service !== 'object' || service === null)
    throw wrongKind('governAxios: the third argument', 'the name of a service, or options', service);
  return service;
}

function servicesOf(own: string | undefined, services: Settings['services']): Map<string, string> {
  const listed = listedServices(services);
  if (own !== undefined) {
    if (typeof own !== 'string' || own === '')
      throw new TypeError(`governAxios.service must be a name, got ${String(own)}`);
    if (!listed.has(own.toLowerCase())) listed.set(own.toLowerCase(), own);
  }
  if (listed.size === 0) throw new TypeError('governAxios needs a service, or services by their hosts');
  return listed;
}

/**
 * Governs an axios instance that exists: discovery, balancing, breakers, retries, deadlines, traces and metrics for the
 * requests that are meant for services, and nothing for all others, which pass untouched and without any header of ours.
 *
 * Only the adapter is replaced, by one that sends each attempt by the instance's own, with the address of the endpoint that
 * was picked as `url` and no base URL: a mock that goes by URLs is put on afterwards, and then nothing is governed.
 * Interceptors, transforms, `validateStatus`, cancel tokens and signals, and the errors they end in stay as they are; a
 * request interceptor runs once for all attempts. Instances that are created from it later are governed as well. A request
 * with an adapter of its own, and one with `governance: false`, are not. Redirects are followed by the adapter, from the
 * instance that answered; what they lead to on another origin gets none of our headers. (By the `fetch` adapter this needs
 * axios 1.12, and a redirect that asks for the body again fails.)
 *
 * A status that `validateStatus` rejects ends as the usual error of axios, after the retries. What keelson refuses is a
 * GovernanceError and no AxiosError: tell it by `isGovernanceError`. An abort ends as axios has it, also when no attempt is
 * under way.
 *
 * Time: `timeout` of axios limits the call with all its attempts, and ends it with axios's error for that. Of it,
 * `governance.timeoutMs` and the policy's `timeoutMs` the least counts; the default of the policy only without `timeout`.
 * Axios gives a response together with its data, so the time covers the data too, except with `responseType: 'stream'`.
 *
 * Do not retry by interceptors besides: attempts multiply.
 *
 * @param instance - made by `axios.create`, or `axios` itself
 * @param app - finds and measures the services
 * @param service - the service of the whole instance, or options
 * @returns the instance
 * @throws TypeError or RangeError for options that cannot work. Calls are rejected with GovernanceError, or as by axios
 * @example
 * ```ts
 * const users = governAxios(axios.create({ baseURL: 'http://users/api' }), app, 'users');
 * const { data } = await users.get('/users/42', { governance: { operation: 'GET /users/:id' } });
 * ```
 */
export function governAxios<Instance extends AxiosLike>(
  instance: Instance,
  app: Pick<App, 'httpClient'>,
  service: string | GovernAxiosOptions,
): Instance {
  checkInstance(instance);
  if (typeof app?.httpClient !== 'function')
    throw wrongKind('governAxios: the second argument', 'an app, as createApp() makes it', app);
  // biome-ignore lint/complexity/noArguments: what is one too many must not be dropped without a word
  const given = optionsOf(service, arguments.length);
  const { service: own, services, routes, axios, ...policy } = given;
  const settings = resolveOptions<Settings>('governAxios', governAxiosDefaults, {
    service: own,
    services,
    routes,
    axios,
  });
  const listed = servicesOf(settings.service, settings.services);
  const called = new Set(listed.values());
  if (called.size > 1 && policy.balancer !== undefined)
    throw new TypeError('governAxios.balancer belongs to one service; govern the instance once for each');
  const native = nativeSender(instance, settings.axios);
  const clients = new Map<string, AxiosClient>();
  for (const name of called) {
    const governed = { ...policy, routes: settings.routes, wire: axiosWire(native) };
    const stack = inNameOf({ 'app.client': 'governAxios' }, () =>
      app.httpClient<AxiosRequest, AxiosAnswer>(name, governed),
    );
    const { timeoutMs } = policy;
    clients.set(name, new AxiosClient({ stack, native, instance, service: name, timeoutMs }));
  }
  const hosts = new Hosts(instance, settings.service, listed);
  const governed: AxiosAdapter = (config) => {
    const target = hosts.find(config);
    const client = target && clients.get(target.service);
    return client === undefined
      ? native.send(config)
      : client.send(config, target as NonNullable<typeof target>);
  };
  instance.defaults.adapter = governed;
  return instance;
}
