import { type Context, type Span, trace } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Semantics } from './semantics.js';
import { describe } from './span-record.js';

/** The span that somebody else has made around a call, if the semantics knows it for one of this very call. */
export function spanOfCall<Req>(
  semantics: Semantics<Req, never>,
  within: Context,
  request: Req,
  call: Call,
): Span | undefined {
  if (semantics.isOfCall === undefined) return undefined;
  const span = trace.getSpan(within);
  if (span === undefined) return undefined;
  let found = false;
  describe(() => {
    found = semantics.isOfCall?.(span, request, call) === true;
  });
  return found ? span : undefined;
}
