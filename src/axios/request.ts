import type { AxiosConfig, AxiosLike } from './native.js';

/** Whom a request is for. */
export interface AxiosTarget {
  /** Logical name of the service. */
  readonly service: string;
  /** Path, and the query of the URL itself; `params` are not in it. */
  readonly path: string;
  /** `user:password@`, as it stood in the URL, or nothing. */
  readonly userinfo: string;
}

/** One request of axios on its way through a client stack: not yet bound to an endpoint. */
export interface AxiosRequest {
  /** As it goes out: `GET`. */
  readonly method: string;
  /** Path and query; begins with `/`. */
  readonly path: string;
  /** As the caller wrote it, after interceptors and transforms. Not to be changed: it is what the caller gets back. */
  readonly config: AxiosConfig;
  /** Whom it is for, read from the config. */
  readonly target: AxiosTarget;
}

/** A request whose `params` become a query only for who asks: spans do, and most calls have none. */
export class GovernedRequest implements AxiosRequest {
  readonly method: string;

  constructor(
    readonly config: AxiosConfig,
    readonly target: AxiosTarget,
    private readonly instance: AxiosLike,
  ) {
    this.method = methodOf(config);
  }

  get path(): string {
    const { path } = this.target;
    const { params, paramsSerializer } = this.config;
    if (params === undefined || params === null) return path;
    try {
      const uri = new URL(
        this.instance.getUri({
          url: `http://service.invalid${path}`,
          allowAbsoluteUrls: true,
          params,
          paramsSerializer,
        }),
      );
      return uri.pathname + uri.search;
    } catch {
      // What cannot be written the adapter will refuse, with an error of its own.
      return path;
    }
  }
}

function methodOf({ method }: AxiosConfig): string {
  return typeof method === 'string' ? method.toUpperCase() : 'GET';
}
