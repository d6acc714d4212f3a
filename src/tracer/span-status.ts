import { type SpanStatus, SpanStatusCode } from '@opentelemetry/api';
import { cutText } from './cut-text.js';

const okay: SpanStatus = Object.freeze({ code: SpanStatusCode.OK });

/** What a caller says of how it ended; `undefined` for what says nothing, or throws when it is looked at. */
export function statusOf(given: SpanStatus): SpanStatus | undefined {
  try {
    const { code, message } = given;
    if (code === SpanStatusCode.OK) return okay;
    if (code !== SpanStatusCode.ERROR) return undefined;
    return typeof message === 'string' ? { code, message } : { code };
  } catch {
    return undefined;
  }
}

/** The same with a message of no more than so many characters. */
export function cutStatus(status: SpanStatus, length: number): SpanStatus {
  const { code, message } = status;
  return message === undefined || message.length <= length
    ? status
    : { code, message: cutText(message, length) };
}
