import type { Call } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import { isGovernanceError } from '../core/errors.js';
import { handlerError } from '../core/handler-error.js';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { notedResponseFlags, type ResponseFlag, responseFlagOf } from '../core/response-flag.js';
import { retriedBelow } from '../core/retried-below.js';
import type { AccessRecord } from './access-line.js';
import { type Arrival, noteArrival } from './arrival.js';
import { traceOf } from './correlation.js';
import { errorTypeOf } from './error-name.js';
import type { LogFields } from './log-fields.js';
import type { AccessFacts, Semantics } from './semantics.js';
import { callerOf } from './service-name.js';
import { describe } from './span-record.js';
import { untilEnd } from './until-end.js';

/** Where the entry of a call goes, and how it is written. */
export interface AccessTarget {
  readonly clock: Clock;
  /** Whether the query is written with the path. */
  readonly query: boolean;
  /** Whether a call is written, now that it is known how it went. */
  wants(wentWell: boolean, durationMs: number): boolean;
  /** Writes it. */
  write(record: AccessRecord, call: Call): void;
}

interface Wire<Req, Res> {
  readonly semantics: Semantics<Req, Res>;
  readonly protocol: Protocol<Req, Res> | undefined;
}

/** What a message says, and why it counts as an error. */
interface Said {
  readonly facts: AccessFacts;
  readonly errorType: string | undefined;
}

const nothing: Said = { facts: {}, errorType: undefined };

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What spans say of a message, for wires that say nothing of lines. */
function factsOf<Req, Res>(
  { semantics }: Wire<Req, Res>,
  request: Req,
  { response, call }: { readonly response: Res | undefined; readonly call: Call },
): AccessFacts {
  if (semantics.access !== undefined) return semantics.access(request, response, call);
  const asked = semantics.requestAttributes(request, call);
  const said = response === undefined ? {} : semantics.responseAttributes(response, call);
  const status = said['rpc.response.status_code'] ?? said['http.response.status_code'];
  return {
    protocol: textOf(asked['rpc.system.name']),
    status: typeof status === 'number' ? status : textOf(status),
    peer: textOf(asked['network.peer.address'] ?? asked['client.address']),
  };
}

function withoutQuery(target: string | undefined): string | undefined {
  const query = target?.indexOf('?') ?? -1;
  return query < 0 ? target : target?.slice(0, query);
}

/** Why a call did not end as it should, as far as anybody knows. */
function flagsOf(call: Call, thrown: unknown, failed: boolean): readonly ResponseFlag[] {
  const flags = new Set(notedResponseFlags(call));
  const { cancel } = call;
  if (cancel.aborted) flags.add(responseFlagOf(cancel.reason, call));
  if (thrown !== undefined) flags.add(responseFlagOf(thrown, call));
  flags.delete('-');
  // What failed below for good and was passed on by a handler in words of its own.
  if (failed && flags.size === 0 && retriedBelow(call)) flags.add('URX');
  return [...flags];
}

function fieldsOf(call: Call): LogFields | undefined {
  const ids = traceOf(call);
  return ids && { trace_id: ids.traceId, span_id: ids.spanId, trace_flags: ids.flags };
}

/** One call on its way to a line. It is written once. */
export class AccessEntry<Req, Res> {
  private over = false;
  private thrown: unknown = undefined;
  private readonly arrival: Arrival;

  constructor(
    private readonly target: AccessTarget,
    private readonly wire: Wire<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
  ) {
    this.arrival = noteArrival(call.values, target.clock);
  }

  follow(running: Promise<Res>): Promise<Res> {
    return running.then(
      (response) => {
        untilEnd(response, this.wire.protocol, {
          // A server's answer is mostly the exchange that it was given, which is held anyway: it need not be asked twice.
          tell: (there) => ((there as unknown) === this.request ? undefined : this.said(there)),
          close: (said, end) => this.end(said ?? this.said(this.request as unknown as Res), end),
        });
        return response;
      },
      (error: unknown) => {
        this.thrown = error;
        this.end(this.said(undefined), undefined);
        throw error;
      },
    );
  }

  private said(response: Res | undefined): Said {
    const { call, request, wire } = this;
    let said = nothing;
    describe(() => {
      const facts = factsOf(wire, request, { response, call });
      said = { facts, errorType: response === undefined ? undefined : wire.semantics.errorType(response) };
    });
    return said;
  }

  private end(said: Said, end: Outcome | undefined): void {
    if (this.over) return;
    this.over = true;
    describe(() => this.write(said, end));
  }

  private write({ facts, errorType }: Said, end: Outcome | undefined): void {
    const { arrival, call, target } = this;
    const durationMs = Math.max(0, target.clock.now() - arrival.cameAt);
    const thrown = this.thrown ?? call.values.get(handlerError);
    const failed = errorType !== undefined || thrown !== undefined;
    const flags = flagsOf(call, thrown, failed);
    const wentWell = !failed && flags.length === 0 && end !== 'failure';
    if (!target.wants(wentWell, durationMs)) return;
    target.write(
      {
        ...facts,
        target: target.query ? facts.target : withoutQuery(facts.target),
        time: new Date(target.clock.wallMs() - durationMs).toISOString(),
        service: call.service,
        caller: callerOf(call),
        operation: call.operation,
        durationMs,
        waitMs: arrival.waitMs,
        flags: flags.length === 0 ? '-' : flags.join(','),
        rejection: isGovernanceError(thrown) ? thrown.code : undefined,
        errorType: thrown === undefined ? errorType : errorTypeOf(thrown),
        trace: fieldsOf(call),
      },
      call,
    );
  }
}
