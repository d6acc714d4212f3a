import type { AxiosConfig, AxiosLike } from './native.js';
import type { AxiosTarget } from './request.js';

/** No service has this name; it stands for "the service" while a relative URL is resolved. */
const nowhere = 'service.invalid';

const isAbsolute = (url: string): boolean => /^(?:[a-z][a-z\d+.-]*:)?\/\//i.test(url);
const hasScheme = (url: string): boolean => /^[a-z][a-z\d+.-]*:/i.test(url);

const textOf = (value: unknown): string => (value === undefined || value === null ? '' : String(value));

/** By the rules of axios: a URL that is absolute stands alone, any other is appended to the base, whatever it begins with. */
function fullUrl(config: AxiosConfig): string {
  const url = textOf(config.url);
  const base = textOf(config.baseURL);
  if (base === '' || (isAbsolute(url) && config.allowAbsoluteUrls !== false)) return url;
  if (url === '') return base;
  let end = base.length;
  while (base[end - 1] === '/') end--;
  return `${base.slice(0, end)}/${url.replace(/^\/+/, '')}`;
}

/** Host and port as they stand in a URL. */
function hostOf(url: string): string | undefined {
  return /^https?:\/\//i.test(url) && URL.canParse(url) ? new URL(url).host : undefined;
}

/** Tells which service a request is for. */
export class Hosts {
  private base: unknown;
  private baseHost: string | undefined;

  /**
   * @param instance - whose base URL is a name of `own`
   * @param own - the service of the whole instance, if it has one
   * @param listed - further services, by host
   */
  constructor(
    private readonly instance: AxiosLike,
    private readonly own: string | undefined,
    private readonly listed: ReadonlyMap<string, string>,
  ) {}

  /** @returns `undefined` for a request that is for none, or that the caller does not want governed */
  find(config: AxiosConfig): AxiosTarget | undefined {
    if (config.governance === false || textOf(config.socketPath) !== '') return undefined;
    const full = fullUrl(config);
    // Axios has words of its own for what is none of these.
    if (hasScheme(full) && !/^https?:\/\//i.test(full)) return undefined;
    if (!URL.canParse(full, `http://${nowhere}`)) return undefined;
    const { host, pathname, search, username, password } = new URL(full, `http://${nowhere}`);
    const service = this.serviceAt(host);
    if (service === undefined) return undefined;
    const secret = password === '' ? '' : `:${password}`;
    const userinfo = username === '' && secret === '' ? '' : `${username}${secret}@`;
    return { service, path: pathname + search, userinfo };
  }

  private serviceAt(host: string): string | undefined {
    if (host === nowhere) return this.own;
    const service = this.listed.get(host);
    if (service !== undefined || this.own === undefined) return service;
    return host === this.ownHost() ? this.own : undefined;
  }

  /** Read at call time, for programs change it; parsed when it has changed. */
  private ownHost(): string | undefined {
    const { baseURL } = this.instance.defaults;
    if (baseURL !== this.base) {
      this.base = baseURL;
      this.baseHost = hostOf(textOf(baseURL));
    }
    return this.baseHost;
  }
}

function checkHost(host: string): string {
  const lower = host.toLowerCase();
  if (hostOf(`http://${host}`) !== lower)
    throw new TypeError(
      `governAxios.services: "${host}" must be the host of a URL, with its port if it has one: "users", "users.internal:8080"`,
    );
  return lower;
}

/**
 * Reads the list of services.
 *
 * @returns services by host
 * @throws TypeError for a host that no URL can have
 */
export function listedServices(
  services: readonly string[] | Readonly<Record<string, string>> | undefined,
): Map<string, string> {
  const listed = new Map<string, string>();
  if (services === undefined) return listed;
  if (typeof services !== 'object' || services === null)
    throw new TypeError(
      `governAxios.services must be names, or names by host, got ${String(services)}; for one service give its name in place of the options`,
    );
  const entries = Array.isArray(services)
    ? (services as readonly string[]).map((name): [string, string] => [name, name])
    : Object.entries(services as Readonly<Record<string, string>>);
  for (const [host, service] of entries) {
    if (typeof service !== 'string' || service === '')
      throw new TypeError(`governAxios.services: "${host}" has no service, got ${String(service)}`);
    listed.set(checkHost(host), service);
  }
  return listed;
}
