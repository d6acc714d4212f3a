import { type Call, createCall } from '../core/call.js';
import {
  type Cancellation,
  type CancelSource,
  cancelledBy,
  cancelSource,
  uncancelled,
} from '../core/cancel.js';
import { currentCall } from '../core/current.js';
import { type Handler, invoke } from '../core/handler.js';
import { resolveOptions } from '../core/options.js';
import { inheritedDeadline } from '../core/over.js';
import { hedgePreference, timeoutPreference } from '../core/preferences.js';
import { whenOver } from '../core/protocol.js';
import type { CallOptions, GovernedFetch } from './call-options.js';
import { type FetchInput, fetchInput } from './fetch-input.js';
import { follow } from './follow.js';
import { idempotentMethods } from './method.js';
import { headerOf, OutgoingHeaders } from './outgoing-headers.js';
import { priorityHeader } from './priority.js';
import { httpProtocol } from './protocol.js';
import { isRedirect, networkError } from './redirect.js';
import type { HttpRequest } from './request.js';
import { type RouteTable, routeTable } from './routes.js';

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

/** Makes the calls of one client. */
class Caller {
  constructor(
    private readonly service: string,
    private readonly routes: RouteTable,
  ) {}

  call(request: HttpRequest, options: CallOptions | undefined, cancel: Cancellation): Call {
    const { method, path, init } = request;
    const inbound = currentCall();
    const headers = OutgoingHeaders.over(init?.headers);
    const priority = options?.priority ?? inbound?.priority ?? 0;
    const call = createCall({
      side: 'client',
      service: this.service,
      operation: options?.operation ?? this.routes(method, path) ?? method,
      deadline: inheritedDeadline(inbound),
      cancel,
      idempotent: options?.idempotent ?? isIdempotent(request),
      headers,
      priority,
      key: options?.key,
    });
    if (options !== undefined) prefer(call, options);
    // The caller's own word, as option or as header, goes before what was inherited.
    if (options?.priority !== undefined || (priority !== 0 && headers.get(priorityHeader) === undefined))
      headers.set(priorityHeader, String(priority));
    return call;
  }
}

function isIdempotent({ method, init }: HttpRequest): boolean {
  return idempotentMethods.has(method) || headerOf(init?.headers, 'idempotency-key') !== undefined;
}

function prefer(call: Call, { timeoutMs, hedge }: CallOptions): void {
  if (timeoutMs !== undefined) call.values.set(timeoutPreference, timeoutMs);
  if (hedge !== undefined) call.values.set(hedgePreference, hedge);
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
  if (typeof service !== 'string' || service === '') throw new TypeError('toFetch.service must be a name');
  if (fetch !== undefined && typeof fetch !== 'function')
    throw new TypeError('toFetch.fetch must be a function');
  const caller = new Caller(service, routeTable(settings.routes));

  const governed = (given: FetchInput, cancel: CancelSource | undefined): Promise<Response> => {
    const send = (request: HttpRequest) =>
      invoke(handler, request, caller.call(request, given.options, cancel ?? uncancelled));
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

  return (input, init) => {
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
