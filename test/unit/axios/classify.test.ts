import { PassThrough } from 'node:stream';
import { AxiosError, AxiosHeaders, CanceledError, type InternalAxiosRequestConfig, toFormData } from 'axios';
import { type AxiosAnswer, type AxiosConfig, type AxiosRequest, axiosProtocol } from 'keelson/axios';
import { describe, expect, it } from 'vitest';

/** As the adapters make it: the system's error, if there was one, behind it. */
function error(
  code: string | undefined,
  cause?: unknown,
  more: { response?: object; data?: unknown; words?: string } = {},
) {
  const config = { headers: new AxiosHeaders(), data: more.data } as InternalAxiosRequestConfig;
  const made = new AxiosError(more.words ?? 'words', code, config, undefined, more.response as never);
  if (cause !== undefined) Object.defineProperty(made, 'cause', { value: cause });
  return made;
}
const system = (code: string, syscall?: string) => Object.assign(new Error('system'), { code, syscall });
const fetchFailed = (cause: unknown) => Object.assign(new TypeError('fetch failed'), { cause });

describe('errors of both adapters', () => {
  it.each([
    ['timeout, http', error('ECONNABORTED'), 'failure'],
    ['timeout, fetch', error('ETIMEDOUT'), 'failure'],
    ['refused, http', error('ECONNREFUSED', system('ECONNREFUSED', 'connect')), 'failure'],
    ['refused, fetch', error('ERR_NETWORK', system('ECONNREFUSED', 'connect')), 'failure'],
    [
      'refused, fetch of a version that hides less',
      error('ERR_NETWORK', fetchFailed(system('ECONNREFUSED'))),
      'failure',
    ],
    ['a firewall', error('EACCES', system('EACCES', 'connect')), 'failure'],
    ['reset, http', error('ECONNRESET', system('ECONNRESET')), 'failure'],
    ['reset, fetch', error('ERR_NETWORK', system('UND_ERR_SOCKET')), 'failure'],
    ['no word of the cause', error('ERR_NETWORK'), 'failure'],
    ['a name that is not known', error('ENOTFOUND', system('ENOTFOUND')), 'failure'],
    ['a certificate', error('DEPTH_ZERO_SELF_SIGNED_CERT'), 'failure'],
    ['no HTTP', error('HPE_INVALID_CONSTANT'), 'failure'],
    [
      'a response that broke off, http',
      error('ERR_BAD_RESPONSE', undefined, { response: { status: 200 } }),
      'failure',
    ],
    ['too many redirects', error('ERR_FR_TOO_MANY_REDIRECTS'), 'failure'],
    ['canceled', new CanceledError(), 'ignored'],
    ['aborted below', error('ERR_NETWORK', new DOMException('x', 'AbortError')), 'ignored'],
    [
      'larger than the caller takes',
      error('ERR_BAD_RESPONSE', undefined, { words: 'maxContentLength size of 3 exceeded' }),
      'ignored',
    ],
    ['a response that broke off, by an older axios', error('ERR_BAD_RESPONSE'), 'failure'],
    [
      'a response that broke off, in the words of axios 1.7.0',
      error('ERR_BAD_RESPONSE', undefined, { words: 'maxContentLength size of -1 exceeded' }),
      'failure',
    ],
    ['a body that is too large', error('ERR_BAD_REQUEST'), 'ignored'],
    ['a body that is too large, by redirects', error('ERR_FR_MAX_BODY_LENGTH_EXCEEDED'), 'ignored'],
    ['an option', error('ERR_BAD_OPTION'), 'ignored'],
    ['the value of an option', error('ERR_BAD_OPTION_VALUE'), 'ignored'],
    ['a URL', error('ERR_INVALID_URL'), 'ignored'],
    ['no such adapter', error('ERR_NOT_SUPPORT'), 'ignored'],
    [
      'a header, http',
      error(undefined, Object.assign(new TypeError('x'), { code: 'ERR_INVALID_CHAR' })),
      'ignored',
    ],
    ['a header, fetch', error(undefined, new TypeError('invalid header')), 'ignored'],
    ['anything that has a mark only', error(undefined), 'failure'],
    ['an error of an adapter of the user', new Error('mine'), 'failure'],
    ['nothing that could be an error', 'words', 'failure'],
  ] as const)('%s is %s', (_, given, outcome) => {
    expect(axiosProtocol.classify(undefined, given)).toBe(outcome);
  });

  it('an upload that broke is the fault of the caller, whatever its code', () => {
    const data = new PassThrough();
    const broken = system('EPIPE');
    data.on('error', () => undefined);
    data.destroy(broken);
    return new Promise<void>((resolve) => data.once('close', resolve)).then(() => {
      expect(axiosProtocol.classify(undefined, error('EPIPE', broken, { data }))).toBe('ignored');
      expect(axiosProtocol.classify(undefined, error('EPIPE', system('EPIPE'), { data }))).toBe('failure');
    });
  });
});

const answer = (status: number, headers: unknown = {}): AxiosAnswer => ({
  status,
  response: { status, headers, data: '', config: {} },
  error: undefined,
});

describe('answers', () => {
  it.each([
    [200, {}, 'success'],
    [404, {}, 'success'],
    [429, {}, 'overload'],
    [500, {}, 'failure'],
    [501, {}, 'success'],
    [503, {}, 'failure'],
    [503, { 'X-Keelson-Shed': 'OVERLOADED' }, 'overload'],
    [503, new AxiosHeaders({ 'X-Keelson-Shed': 'OVERLOADED' }), 'overload'],
    [503, undefined, 'failure'],
  ])('%i %o is %s', (status, headers, outcome) => {
    expect(axiosProtocol.classify(answer(status, headers), undefined)).toBe(outcome);
  });

  it.each([
    [200, {}, undefined],
    [200, { 'x-keelson-load': 'cpu=0.5' }, { load: { cpuRatio: 0.5 } }],
    [429, { 'Retry-After': '2' }, { retryAfterMs: 2000 }],
    [503, new AxiosHeaders({ 'retry-after-ms': '30' }), { retryAfterMs: 30 }],
    [200, { 'retry-after': '2' }, undefined],
    [429, { 'retry-after': ['2', '3'] }, undefined],
  ])('%i %o tells %o', (status, headers, feedback) => {
    expect(axiosProtocol.feedback?.(answer(status, headers))).toEqual(feedback);
  });

  it('of a middleware of the user are over at once', () => {
    expect(axiosProtocol.onEnd?.(answer(200), () => undefined)).toBe(false);
    expect(() => axiosProtocol.discard?.(answer(200))).not.toThrow();
  });
});

describe('a request can be sent again with', () => {
  const request = (data: unknown): AxiosRequest => {
    const config: AxiosConfig = { data };
    return { method: 'PUT', path: '/', config, target: { service: 'users', path: '/', userinfo: '' } };
  };
  it.each([
    ['nothing', undefined, true],
    ['text', '{"a":1}', true],
    ['bytes', Buffer.from('x'), true],
    ['parameters', new URLSearchParams('a=b'), true],
    ['a form of the platform', new FormData(), true],
    ['a blob', new Blob(['x']), true],
    ['a stream', new PassThrough(), false],
    ['a stream of the web', new ReadableStream(), false],
    ['a form of axios, which is a stream', toFormData({ a: 1 }), false],
    ['an object that an adapter of the user knows', { a: 1 }, false],
  ])('%s: %s', (_, data, again) => {
    const given = request(data);
    expect(axiosProtocol.replay?.(given)).toBe(again ? given : undefined);
  });
});
