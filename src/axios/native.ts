import type { CallOptions } from '../http/call-options.js';

/** What is looked at in a config of axios, of whatever version. Everything else in it passes as it is. */
export interface AxiosConfig {
  readonly url?: unknown;
  readonly baseURL?: unknown;
  readonly allowAbsoluteUrls?: unknown;
  readonly method?: unknown;
  readonly headers?: unknown;
  readonly params?: unknown;
  readonly paramsSerializer?: unknown;
  readonly data?: unknown;
  readonly timeout?: unknown;
  readonly timeoutErrorMessage?: unknown;
  readonly transitional?: unknown;
  readonly validateStatus?: unknown;
  readonly responseType?: unknown;
  readonly socketPath?: unknown;
  readonly signal?: unknown;
  readonly cancelToken?: unknown;
  readonly beforeRedirect?: unknown;
  readonly env?: unknown;
  /** How this one call is governed; `false` sends it as if nothing was. */
  readonly governance?: CallOptions | false | undefined;
}

/** What is looked at in a response of axios. */
export interface AxiosResponseLike {
  /** The body, or a stream of it. */
  readonly data: unknown;
  /** Status code. */
  readonly status: number;
  /** As the adapter made them. */
  readonly headers?: unknown;
  /** What was asked for. */
  config: unknown;
}

/** What is looked at in an error of axios; told by its mark, for each build of axios has a class of its own. */
export interface AxiosErrorLike {
  readonly isAxiosError: true;
  readonly message: string;
  readonly code?: unknown;
  readonly cause?: unknown;
  response?: AxiosResponseLike | undefined;
  config?: unknown;
}

/** An adapter: sends what a config says. */
export type AxiosAdapter = (config: AxiosConfig) => Promise<AxiosResponseLike>;

/** The class of axios's errors. */
export type AxiosErrorClass = new (message: string, code: string, config: unknown) => Error;

/** What is used of an axios instance. One made by `axios.create`, and `axios` itself, have it all. */
export interface AxiosLike {
  /** The adapter in it is replaced; the base URL is read when a request is made. */
  readonly defaults: { adapter?: unknown; baseURL?: unknown };
  /** Makes the URL of a request. */
  getUri(config?: object): string;
  /** Makes an instance without interceptors; only `new axios.Axios()` has none. */
  create?(config?: object): unknown;
}

/** What is used of `axios` itself, the default export. */
export interface AxiosStaticLike {
  /** Finds an adapter that is given by name. */
  getAdapter(adapters: never, config?: never): unknown;
  /** Its adapter counts for an instance that has none. */
  readonly defaults?: { readonly adapter?: unknown };
}

/** Whether something that was thrown is axios's own error, from whichever build. */
export function isAxiosError(error: unknown): error is AxiosErrorLike {
  return typeof error === 'object' && error !== null && (error as AxiosErrorLike).isAxiosError === true;
}

/** Whether the data of a response is read after the response is there. */
export function isStreamed({ responseType }: AxiosConfig): boolean {
  const type = String(responseType).toLowerCase();
  return type === 'stream' || type === 'response';
}

/** Makes an error name another config than the one that was sent: the caller's own, which can be sent again. */
export function reconfigured(error: AxiosErrorLike, config: AxiosConfig): AxiosErrorLike {
  error.config = config;
  if (error.response !== undefined) error.response.config = config;
  return error;
}
