import { type Attributes, diag, type Span, SpanStatusCode } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { type GovernanceError, isGovernanceError } from '../core/errors.js';
import { handlerError } from '../core/handler-error.js';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { verdictOf } from '../core/verdict.js';
import { arrivalOf } from './arrival.js';
import { errorTypeOf } from './error-name.js';
import type { Semantics } from './semantics.js';
import { untilEnd } from './until-end.js';

/** What is needed to write down how a call ended. */
export interface Recording<Req, Res> {
  readonly semantics: Semantics<Req, Res>;
  readonly protocol: Protocol<Req, Res> | undefined;
}

/** Told when a try has its answer, or has none; before its span ends. */
export interface Course<Res> {
  answered(response: Res): void;
  failed(): void;
}

/** Runs code of a semantics, which may come from a user: a mistake in it costs attributes and never a call. */
export function describe(run: () => void): void {
  try {
    run();
  } catch (fault) {
    diag.error('keelson: a Semantics threw', fault);
  }
}

/** The caller gave up, which is nobody's error; a deadline that passed is one. */
function isCancelled(error: unknown, call: Call): boolean {
  return isGovernanceError(error) ? error.code === 'CANCELLED' : call.cancel.aborted;
}

/** The error that tells most: a wire that was aborted by a deadline may say only that it was aborted. */
function causeOf(thrown: unknown, call: Call): unknown {
  const { cancel } = call;
  return cancel.aborted && isGovernanceError(cancel.reason) && !isGovernanceError(thrown)
    ? cancel.reason
    : thrown;
}

/** Who refused, why, and for how long. */
function writeRejection(span: Span, { code, side, retryAfterMs }: GovernanceError): void {
  span.setAttribute('keelson.rejection', code);
  if (side !== undefined) span.setAttribute('keelson.rejection.side', side);
  if (retryAfterMs !== undefined && Number.isFinite(retryAfterMs))
    span.setAttribute('keelson.rejection.retry_after_ms', retryAfterMs);
}

/** Writes an error on a span: exception event, `error.type`, status, and the code of a refusal. */
export function writeError(span: Span, thrown: unknown, call: Call): void {
  const error = causeOf(thrown, call);
  if (isGovernanceError(error)) writeRejection(span, error);
  if (isCancelled(error, call)) return;
  span.recordException(error instanceof Error ? error : String(error));
  span.setAttribute('error.type', errorTypeOf(error));
  span.setStatus({
    code: SpanStatusCode.ERROR,
    message: error instanceof Error ? error.message : String(error),
  });
}

/** What a response says of itself in a span. */
export interface Answered {
  readonly attributes: Attributes;
  /** Why it counts as an error, if it does. */
  readonly errorType: string | undefined;
}

/** What a response says; nothing if the semantics throw. */
export function answeredBy<Req, Res>(semantics: Semantics<Req, Res>, response: Res, call: Call): Answered {
  let said: Answered = { attributes: {}, errorType: undefined };
  describe(() => {
    said = {
      attributes: semantics.responseAttributes(response, call),
      errorType: semantics.errorType(response),
    };
  });
  return said;
}

/** Writes what a response said; `end` is how its body ended, if the wire can tell. */
export function writeResponse(
  span: Span,
  said: Answered,
  { call, end }: { readonly call: Call; readonly end: Outcome | undefined },
): void {
  span.setAttributes(said.attributes);
  if (end !== undefined && end !== 'success') span.setAttribute('keelson.outcome', end);
  const arrival = call.side === 'server' ? arrivalOf(call.values) : undefined;
  if (arrival !== undefined) span.setAttributes(arrival.attributes());
  const broken = end === 'failure' && call.side === 'client' ? 'body' : undefined;
  const type = said.errorType ?? broken;
  const thrown = call.side === 'server' ? call.values.get(handlerError) : undefined;
  if (type === undefined) {
    // A refusal that is the caller's fault is no error of this server, and still worth finding.
    if (isGovernanceError(thrown)) writeRejection(span, thrown);
  } else if (thrown !== undefined) {
    writeError(span, thrown, call);
  } else {
    span.setAttribute('error.type', type);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
}

/** One recorded span from its start to the end of the response. It ends once, whatever is reported twice. */
export class SpanRecord<Req, Res> {
  private over = false;

  constructor(
    private readonly span: Span,
    private readonly recording: Recording<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
  ) {}

  /** Ends the span with the call. */
  follow(running: Promise<Res>, course?: Course<Res>): Promise<Res> {
    return running.then(
      (response) => {
        if (course !== undefined) describe(() => course.answered(response));
        this.answered(response);
        return response;
      },
      (error: unknown) => {
        if (course !== undefined) describe(() => course.failed());
        this.end(() => this.failed(error));
        throw error;
      },
    );
  }

  private answered(response: Res): void {
    const { semantics, protocol } = this.recording;
    untilEnd(response, protocol, {
      tell: (there) => answeredBy(semantics, there, this.call),
      close: (said, end) => this.end(() => this.responded(said, end)),
    });
  }

  private end(write: () => void): void {
    if (this.over) return;
    this.over = true;
    describe(write);
    this.span.end();
  }

  private responded(said: Answered, end: Outcome | undefined): void {
    this.rename();
    writeResponse(this.span, said, { call: this.call, end });
  }

  private failed(error: unknown): void {
    const { span, call } = this;
    const { semantics, protocol } = this.recording;
    this.rename();
    const attributes = semantics.errorAttributes?.(error, call);
    if (attributes !== undefined) span.setAttributes(attributes);
    writeError(span, error, call);
    if (protocol !== undefined)
      span.setAttribute('keelson.outcome', verdictOf(error, call, protocol).outcome);
  }

  /** Routing may have named the operation since. */
  private rename(): void {
    this.span.updateName(this.recording.semantics.spanName(this.request, this.call));
  }
}
