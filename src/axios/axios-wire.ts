import { type Call, derive } from '../core/call.js';
import { type CancelSource, cancelSource, uncancelled } from '../core/cancel.js';
import { refusal } from '../core/errors.js';
import type { Wire } from '../core/wire.js';
import { originOf } from '../http/origin.js';
import { addedHeaders } from '../http/outgoing-headers.js';
import { isForOrigin } from '../http/redirect.js';
import { type Answer, type AxiosAnswer, answerOf, type Try } from './answer.js';
import { directFetch } from './direct-fetch.js';
import {
  type AxiosConfig,
  type AxiosResponseLike,
  isAxiosError,
  isStreamed,
  reconfigured,
} from './native.js';
import type { NativeSender } from './native-sender.js';
import { axiosProtocol } from './protocol.js';
import type { AxiosRequest } from './request.js';

/** Headers of axios, which know how to make a copy; other adapters may be given a plain record. */
interface Copied {
  concat?(more: object): object;
}

function headersFor(headers: unknown, call: Call): unknown {
  const added = addedHeaders(call.headers);
  if (typeof (headers as Copied | undefined)?.concat === 'function')
    return (headers as Copied).concat?.({ ...added });
  const kept = Object.entries(headers ?? {}).filter(([name]) => added[name.toLowerCase()] === undefined);
  return { ...Object.fromEntries(kept), ...added };
}

/** What the `http` adapter asks before it follows a redirect. */
type BeforeRedirect = (
  options: { href?: unknown; headers?: Record<string, unknown> },
  ...more: unknown[]
) => void;

/** Another origin has no part in our traces and deadlines, whatever the caller himself does on the way. */
function stripping(origin: string, also: unknown): BeforeRedirect {
  return (options, ...more) => {
    const { href, headers = {} } = options;
    const target = typeof href === 'string' && URL.canParse(href) ? new URL(href).origin : undefined;
    if (target !== origin) {
      for (const name of Object.keys(headers)) if (isForOrigin(name.toLowerCase())) delete headers[name];
    }
    if (typeof also === 'function') (also as BeforeRedirect)(options, ...more);
  };
}

/** What one attempt is sent with. The caller's config stays as it is: it is what the caller gets back, and may send again. */
function configFor(request: AxiosRequest, call: Call, to: { origin: string; byFetch: boolean }): AxiosConfig {
  const { config, target } = request;
  const { origin } = to;
  const { fetch, ...env } = (config.env ?? {}) as { fetch?: unknown };
  return {
    ...config,
    // By a function: passwords hold dollars, which mean something in a replacement.
    url: origin.replace('//', () => `//${target.userinfo}`) + target.path,
    baseURL: undefined,
    headers: headersFor(config.headers, call),
    signal: call.cancel === uncancelled ? undefined : call.cancel.signal,
    cancelToken: undefined,
    // One for all attempts is set already; that of a stream may, by adapter, go on to the end of the body.
    timeout: isStreamed(config) ? config.timeout : 0,
    beforeRedirect: stripping(origin, config.beforeRedirect),
    ...(to.byFetch ? { env: { ...env, fetch: directFetch(fetch) } } : undefined),
    governance: false,
  };
}

/** One whose status axios refused is; any other broke off if it has no data, be it empty. */
function isWhole({ data, status }: AxiosResponseLike, { validateStatus }: AxiosConfig): boolean {
  if (data !== undefined) return true;
  return typeof validateStatus === 'function' && !(validateStatus as (status: number) => unknown)(status);
}

/** An error that holds a whole response is an answer. @throws any other */
function failed(error: unknown, attempt: Try): Answer {
  if (!isAxiosError(error)) throw error;
  const { config } = attempt.request;
  const { response } = reconfigured(error, config);
  if (response === undefined || !isWhole(response, config)) throw error;
  return answerOf(response, error, attempt);
}

/**
 * The streams of the `fetch` adapter wait for the next part before they let go of a connection that their reader has left,
 * which for a server that says nothing more is for ever. An abort reaches it at once.
 */
function abortWhenLeft({ end }: Answer, source: CancelSource): void {
  const told = end?.listen((outcome) => {
    if (outcome === 'ignored')
      source.abort(refusal('CANCELLED', 'the response was left', { side: 'client' }));
    source.dispose();
  });
  if (told !== true) source.dispose();
}

/**
 * Carries calls by the adapter that an axios instance had. Responses and errors name the caller's own config, not the one
 * that was sent.
 */
export function axiosWire({ send, byFetch }: NativeSender): Wire<AxiosRequest, AxiosAnswer> {
  return {
    protocol: axiosProtocol,
    schemes: ['http', 'https'],
    connect: (endpoint) => {
      // The instance's agents decide whom they trust.
      const origin = originOf(endpoint, { anyHost: true });
      const to = { origin, byFetch };
      const attempt = async (request: AxiosRequest, call: Call): Promise<Answer> => {
        try {
          const response = await send(configFor(request, call, to));
          return answerOf(response, undefined, { request, call });
        } catch (error) {
          return failed(error, { request, call });
        }
      };
      const handler = async (request: AxiosRequest, call: Call): Promise<AxiosAnswer> => {
        if (!byFetch || !isStreamed(request.config)) return attempt(request, call);
        const cancel = cancelSource(call.cancel);
        try {
          const answer = await attempt(request, derive(call, { cancel }));
          abortWhenLeft(answer, cancel);
          return answer;
        } catch (error) {
          cancel.dispose();
          throw error;
        }
      };
      return { handler, close: () => undefined };
    },
  };
}
