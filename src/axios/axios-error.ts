import type { Outcome } from '../core/outcome.js';
import { classifyError } from '../http/wire-error.js';
import { type AxiosConfig, type AxiosErrorLike, isAxiosError } from './native.js';

/**
 * Codes by which axios tells that a request was given up, or never went out: each is the caller's own doing. Beside
 * these, `ERR_BAD_REQUEST` without a response is a body that is too large or of no kind, or a URL of another scheme.
 */
const ownFault: ReadonlySet<unknown> = new Set([
  'ERR_BAD_OPTION',
  'ERR_BAD_OPTION_VALUE',
  'ERR_BAD_REQUEST',
  'ERR_CANCELED',
  'ERR_DEPRECATED',
  'ERR_FORM_DATA_DEPTH_EXCEEDED',
  'ERR_FR_MAX_BODY_LENGTH_EXCEEDED',
  'ERR_INVALID_URL',
  'ERR_NOT_SUPPORT',
]);

/** Both adapters say a timeout in their own way; in either it is the callee that was too slow. */
const timedOut: ReadonlySet<unknown> = new Set(['ECONNABORTED', 'ETIMEDOUT']);

/** Whether the caller's own stream broke while it was sent. */
function isUploadError({ config, cause }: AxiosErrorLike): boolean {
  const upload = (config as AxiosConfig | undefined)?.data as { errored?: unknown } | null | undefined;
  const broken = upload?.errored ?? undefined;
  return broken !== undefined && (cause === broken || (cause as Error | undefined)?.cause === broken);
}

/**
 * Whether there was more than the caller takes. It has the code of what broke off, and only words tell them apart; axios
 * before 1.7.8 has the same words for both, with the limit that is none.
 */
function isTooLong({ message }: AxiosErrorLike): boolean {
  return message.startsWith('maxContentLength') && !message.startsWith('maxContentLength size of -1 ');
}

/**
 * What an error of an adapter says of the callee, by one table for the `http` and the `fetch` adapter, which call the same
 * failure by different names.
 *
 * A timeout, a refused or broken connection, a response that broke off: `failure`. Given up by the caller, refused before
 * it went out, an upload that broke, more than the caller takes: `ignored`. A status is no error here; it comes as an answer.
 */
export function classifyAxiosError(error: unknown): Outcome {
  if (!isAxiosError(error)) return classifyError(error);
  const { code, cause } = error;
  if (ownFault.has(code) || isUploadError(error)) return 'ignored';
  if (timedOut.has(code)) return 'failure';
  if (code === 'ERR_BAD_RESPONSE') return isTooLong(error) ? 'ignored' : 'failure';
  // The system's error lies behind: of ERR_NETWORK it is all there is, and only there it says what was being done.
  return classifyError(cause ?? error);
}
