import type { Attributes, Context, Link, Span, SpanKind, SpanOptions, Tracer } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { describe } from './span-record.js';
import type { TracingSettings } from './tracing-options.js';

/** What a span is of. */
export interface SpanSubject<Req, Res> {
  readonly settings: TracingSettings<Req, Res>;
  readonly kind: SpanKind;
  readonly request: Req;
  readonly call: Call;
  readonly links?: Link[] | undefined;
}

/**
 * Starts a span under the name and with the attributes that its semantics gives. Attributes are asked for only once it
 * is known that the span is recorded, unless samplers are to see them.
 *
 * @param within - holds the parent
 */
export function startSpan<Req, Res>(tracer: Tracer, subject: SpanSubject<Req, Res>, within: Context): Span {
  const { settings, kind, request, call, links } = subject;
  const { semantics, sampleByAttributes } = settings;
  // What is left of the name if the semantics throws.
  let name = call.operation;
  let attributes: Attributes | undefined;
  describe(() => {
    name = semantics.spanName(request, call);
    if (sampleByAttributes) attributes = semantics.requestAttributes(request, call);
  });
  const options: SpanOptions = { kind };
  if (attributes !== undefined) options.attributes = attributes;
  if (links !== undefined && links.length > 0) options.links = links;
  const span = tracer.startSpan(name, options, within);
  if (!sampleByAttributes && span.isRecording())
    describe(() => span.setAttributes(semantics.requestAttributes(request, call)));
  return span;
}
