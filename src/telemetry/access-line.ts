import { quoted, valueText } from './line-text.js';
import type { LogFields } from './log-fields.js';
import type { AccessFacts } from './semantics.js';

/** What a line of an access log is made of. */
export interface AccessRecord extends AccessFacts {
  /** When the call came; ISO 8601, UTC. */
  readonly time: string;
  /** Logical name of the service that served it. */
  readonly service: string;
  /** Logical name of whoever called, of trusted peers. */
  readonly caller: string | undefined;
  /** `GET /orders/:id`. */
  readonly operation: string;
  /** To the end of the answer; milliseconds. */
  readonly durationMs: number;
  /** What of it was spent in line. */
  readonly waitMs: number | undefined;
  /** Envoy's response flags, joined by commas; `-` for none. */
  readonly flags: string;
  /** Code of the refusal, if it was one. */
  readonly rejection: string | undefined;
  /** Why it counts as an error, in a word. */
  readonly errorType: string | undefined;
  /** How many requests the line stands for; 1 if left out. */
  readonly count?: number | undefined;
  /** Of which trace it was part. */
  readonly trace: LogFields | undefined;
}

/** Writes one record as a line, without its end. */
export type AccessFormat = (
  record: AccessRecord,
  own: Readonly<Record<string, unknown>> | undefined,
) => string;

function rounded(ms: number): string {
  return String(Math.round(ms * 1000) / 1000);
}

/** The user's fields behind ours; under a name of ours they are left out, since a reader would take one or the other. */
function ownFields(own: Readonly<Record<string, unknown>>, known: string): string {
  let text = '';
  for (const name of Object.keys(own)) {
    const value = valueText(own[name]);
    const key = quoted(name);
    if (value !== undefined && !known.includes(`${key}:`)) text += `,${key}:${value}`;
  }
  return text;
}

function maybe(name: string, value: number | string | undefined): string {
  return value === undefined
    ? ''
    : `,"${name}":${typeof value === 'number' ? rounded(value) : quoted(value)}`;
}

/** One object on one line. Fields that are not known are left out. */
export const jsonLine: AccessFormat = (record, own) => {
  const { trace } = record;
  let line = `{"time":"${record.time}","service":${quoted(record.service)}`;
  line += maybe('caller', record.caller);
  line += maybe('operation', record.operation);
  line += maybe('method', record.method);
  line += maybe('path', record.target);
  line += maybe('protocol', record.protocol);
  line += maybe('status', record.status);
  line += `,"duration_ms":${rounded(record.durationMs)}`;
  line += maybe('wait_ms', record.waitMs);
  line += `,"response_flags":"${record.flags}"`;
  line += maybe('rejection', record.rejection);
  line += maybe('error_type', record.errorType);
  line += maybe('count', record.count);
  line += maybe('peer', record.peer);
  line += maybe('user_agent', record.agent);
  if (trace !== undefined)
    line += `,"trace_id":"${trace.trace_id}","span_id":"${trace.span_id}","trace_flags":"${trace.trace_flags}"`;
  if (own !== undefined) line += ownFields(own, line);
  return `${line}}`;
};

const unknown = '-';

/** Something that others may have written and that stands outside of quotes. */
function word(text: number | string | undefined): string {
  if (text === undefined || text === '') return unknown;
  const shown = String(text);
  return /^[\w.:/@+-]{1,256}$/.test(shown) ? shown : quoted(shown);
}

/**
 * A line for people, in the order of Envoy's:
 * `[time] "GET /orders/1 HTTP/1.1" 200 flags duration peer "agent" caller "operation" trace-id`, then what the user adds.
 */
export const textLine: AccessFormat = (record, own) => {
  const { method = record.operation, target, protocol, status, agent } = record;
  const request = [method, target, protocol].filter((part) => part !== undefined).join(' ');
  const ours = [
    `[${record.time}]`,
    quoted(request),
    word(status),
    record.flags,
    rounded(record.durationMs),
    word(record.peer),
    agent === undefined ? unknown : quoted(agent),
    word(record.caller),
    quoted(record.operation),
    record.trace?.trace_id ?? unknown,
  ];
  if (record.count !== undefined) ours.push(`count=${record.count}`);
  for (const name of Object.keys(own ?? {})) {
    const value = valueText(own?.[name]);
    if (value !== undefined) ours.push(`${word(name)}=${value}`);
  }
  return ours.join(' ');
};
