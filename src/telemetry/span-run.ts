import { type Context, context, type Span, SpanStatusCode } from '@opentelemetry/api';
import { isGovernanceError } from '../core/errors.js';
import { errorTypeOf } from './error-name.js';
import { describe } from './span-record.js';

/** Writes what code of the user threw; one who gave up is nobody's error. */
function writeFault(span: Span, error: unknown): void {
  if (isGovernanceError(error)) span.setAttribute('keelson.rejection', error.code);
  if (isGovernanceError(error) && error.code === 'CANCELLED') return;
  span.recordException(error instanceof Error ? error : String(error));
  span.setAttribute('error.type', errorTypeOf(error));
  span.setStatus({
    code: SpanStatusCode.ERROR,
    message: error instanceof Error ? error.message : String(error),
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Ends a span once. A user may have ended it by hand; then it says no more. */
function finish(span: Span, failure: { readonly error: unknown } | undefined): void {
  describe(() => {
    if (failure !== undefined && span.isRecording()) writeFault(span, failure.error);
  });
  span.end();
}

/** Runs a function within a span and ends the span with it: when it returns or throws, or when its promise settles. */
export function runInSpan<T>(span: Span, within: Context, run: (span: Span) => T): T {
  let result: T;
  try {
    result = context.with(within, run, undefined, span);
  } catch (error) {
    finish(span, { error });
    throw error;
  }
  if (!isThenable(result)) {
    finish(span, undefined);
    return result;
  }
  // The caller gets what `then` makes, so that a rejection that nobody handles is told once.
  // Of a promise of somebody else's nobody knows what its `then` gives.
  return Promise.resolve(result).then(
    (value) => {
      finish(span, undefined);
      return value;
    },
    (error: unknown) => {
      finish(span, { error });
      throw error;
    },
  ) as T;
}
