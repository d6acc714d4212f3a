import { whenOver } from '../core/protocol.js';
import { type CallOptions, checkCallOptions } from '../http/call-options.js';
import { Caller } from '../http/caller.js';
import type { HeaderInput } from '../http/outgoing-headers.js';
import type { HttpClient } from '../stack/app-client.js';
import type { AxiosAnswer } from './answer.js';
import { abortOf, type CallerAbort } from './caller-abort.js';
import { isOutOfTime, timeoutError, timeoutOf } from './caller-timeout.js';
import type { AxiosConfig, AxiosLike, AxiosResponseLike } from './native.js';
import type { NativeSender } from './native-sender.js';
import { axiosProtocol } from './protocol.js';
import { type AxiosRequest, type AxiosTarget, GovernedRequest } from './request.js';

/** What a client of one service is made of. */
export interface AxiosClientParts {
  readonly stack: Pick<HttpClient<AxiosRequest, AxiosAnswer>, 'handler' | 'clock' | 'operationOf'>;
  readonly native: NativeSender;
  readonly instance: AxiosLike;
  readonly service: string;
  /** Of the policy, if it says so. */
  readonly timeoutMs: number | undefined;
}

/** Headers as pairs of text; axios also has lists, numbers, and `false` for "not this one". */
function textHeaders(headers: unknown): HeaderInput {
  const record =
    (headers as { toJSON?(asText: boolean): object } | undefined)?.toJSON?.(true) ?? headers ?? {};
  return Object.entries(record)
    .filter(([, value]) => value !== undefined && value !== null && value !== false)
    .map(([name, value]): [string, string] => [name, String(value)]);
}

function optionsOf({ governance }: AxiosConfig): CallOptions {
  return governance === undefined || governance === false ? {} : checkCallOptions('governance', governance);
}

/** Must not lead back to the answer: a stream that nobody reads would never be collected. */
function disposeAfter(answer: AxiosAnswer, abort: CallerAbort): void {
  whenOver(axiosProtocol, answer, () => abort.dispose());
}

/** Makes the governed calls of one service. */
export class AxiosClient {
  private readonly caller: Caller;

  constructor(private readonly parts: AxiosClientParts) {
    this.caller = new Caller(parts.service, parts.stack.operationOf);
  }

  async send(config: AxiosConfig, target: AxiosTarget): Promise<AxiosResponseLike> {
    const { stack, native, instance } = this.parts;
    const { clock } = stack;
    const options = optionsOf(config);
    const request = new GovernedRequest(config, target, instance);
    const since = clock.now();
    const limitMs = timeoutOf(config);
    const abort = abortOf(config);
    const call = this.caller.call(
      { method: request.method, path: target.path, headers: textHeaders(config.headers) },
      { ...options, timeoutMs: this.timeFor(options, limitMs) },
      abort.cancel,
    );
    let answer: AxiosAnswer;
    try {
      answer = await stack.handler(request, call);
    } catch (error) {
      abort.dispose();
      // An inbound deadline, or the app's own word, may have been nearer than what the caller gave.
      const own = since + limitMs <= Math.min(clock.now(), call.deadline);
      throw own && isOutOfTime(error) ? await timeoutError(config, native, error) : error;
    }
    disposeAfter(answer, abort);
    if (answer.error !== undefined) throw answer.error;
    return answer.response;
  }

  /** @returns `undefined` for what the stack has by default */
  private timeFor({ timeoutMs = this.parts.timeoutMs }: CallOptions, limitMs: number): number | undefined {
    if (limitMs === Number.POSITIVE_INFINITY) return timeoutMs;
    return Math.min(limitMs, timeoutMs ?? Number.POSITIVE_INFINITY);
  }
}
