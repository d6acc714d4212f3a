import { type CancelSource, cancelledBy, cancelSource, uncancelled } from '../core/cancel.js';
import { type Handler, invoke } from '../core/handler.js';
import { aboutOption } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';
import { whenOver } from '../core/protocol.js';
import type { GovernedFetch } from './call-options.js';
import { Caller } from './caller.js';
import { type FetchInput, fetchInput } from './fetch-input.js';
import { follow } from './follow.js';
import { httpProtocol } from './protocol.js';
import { isRedirect, networkError } from './redirect.js';
import type { HttpRequest } from './request.js';
import { routeTable } from './routes.js';
import { governing } from './ungoverned.js';

/** Options of {@link toFetch}. */
export interface ToFetchOptions {
  /** Logical name of the service; also the host of absolute URLs that are meant for it. */
  readonly service: string;
  /**
   * Route templates that name operations, first match wins: `/users/:id`, `/files/*`, `POST /orders`. Without a match the
   * operation is the method alone. More of them make breakers and metrics finer.
   *
   * @defaultValue `[]`
   */
  readonly routes?: readonly string[] | undefined;
  /**
   * What follows a redirect to another origin.
   *
   * @defaultValue `undefined`, that is the `fetch` of the platform, looked up for each request
   */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Defaults of {@link ToFetchOptions}. */
export const toFetchDefaults = { routes: [], fetch: undefined } as const;

interface Settings {
  readonly service: string;
  readonly routes: readonly string[];
  readonly fetch: typeof globalThis.fetch | undefined;
}

/**
 * Gives a governed handler the signature of `fetch`.
 *
 * The input is a relative URL, or an absolute one (or a Request for one) whose host is the service's name. Redirects are
 * followed here: one to the same service is a new governed call, one to another origin a plain fetch without any header
 * of ours, credentials or baggage. Deadline and priority of the inbound call are inherited; both ends of a process share
 * one clock, so its deadline means the same here.
 *
 * An abort rejects with the caller's own reason. What the wire throws passes unchanged, refusals are GovernanceErrors.
 *
 * A body that comes in a Request is a stream by then: it is sent without a length, and not sent again. Give URL and init
 * where retries matter.
 *
 * @param handler - a client stack
 * @throws TypeError for options that cannot be understood
 * @example
 * ```ts
 * const users = toFetch(stack.handler, { service: 'users', routes: ['/users/:id'] });
 * const user = await users('/users/42', { keelson: { timeoutMs: 500 } });
 * ```
 */
export function toFetch(handler: Handler<HttpRequest, Response>, options: ToFetchOptions): GovernedFetch {
  const settings = resolveOptions<Settings>('toFetch', { ...toFetchDefaults, service: '' }, options);
  const { service, fetch } = settings;
  if (typeof service !== 'string' || service === '')
    throw aboutOption(new TypeError('toFetch.service must be a name'));
  if (fetch !== undefined && typeof fetch !== 'function')
    throw aboutOption(new TypeError('toFetch.fetch must be a function'));
  const caller = new Caller(service, routeTable(settings.routes));

  const governed = (given: FetchInput, cancel: CancelSource | undefined): Promise<Response> => {
    const send = (request: HttpRequest) => {
      const { method, path, init } = request;
      const outgoing = { method, path, headers: init?.headers };
      return invoke(handler, request, caller.call(outgoing, given.options, cancel ?? uncancelled));
    };
    const first = send(given.request);
    if (given.redirect === 'manual') return first;
    return first.then((response) => {
      if (!isRedirect(response)) return response;
      if (given.redirect === 'error') {
        httpProtocol.discard?.(response);
        throw networkError('unexpected redirect');
      }
      return follow(response, given.request, { service, send, fetch, signal: cancel?.signal });
    });
  };

  const called: GovernedFetch = (input, init) => {
    let given: FetchInput;
    try {
      given = fetchInput(input, init, service);
      const { signal } = given;
      if (signal === undefined) return governed(given, undefined);
      return underSignal(signal, given.request.init?.body, (cancel) => governed(given, cancel));
    } catch (error) {
      return Promise.reject(error);
    }
  };
  return governing(called, () => fetch ?? globalThis.fetch);
}

/**
 * Runs a call that its caller may abort. It gets a signal of its own, which lets go of the caller's when the body is over:
 * fetch itself would stay on the caller's signal until the garbage collector comes, and a signal that lives as long as the
 * process would gather them.
 */
function underSignal(
  signal: AbortSignal,
  upload: unknown,
  run: (cancel: CancelSource) => Promise<Response>,
): Promise<Response> {
  if (signal.aborted) {
    cancelUpload(upload, signal.reason);
    return Promise.reject(signal.reason);
  }
  const cancel = cancelSource(cancelledBy(signal));
  return run(cancel).then(
    (response) => {
      whenOver(httpProtocol, response, () => cancel.dispose());
      return response;
    },
    (error: unknown) => {
      cancel.dispose();
      if (!signal.aborted) throw error;
      cancelUpload(upload, signal.reason);
      throw signal.reason;
    },
  );
}

/** As fetch does: whoever makes an upload that was given up has to hear of it. One on its way is held by fetch itself. */
function cancelUpload(upload: unknown, reason: unknown): void {
  const stream = upload as Partial<ReadableStream> | null | undefined;
  if (typeof stream?.cancel !== 'function' || stream.locked !== false) return;
  stream.cancel(reason).catch(() => undefined);
}
