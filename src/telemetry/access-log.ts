import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import { type RejectionCode, rejections } from '../core/errors.js';
import type { Bus } from '../core/events.js';
import { invoke, type Middleware } from '../core/handler.js';
import { checkChoice, resolveOptions, wrongKind } from '../core/options.js';
import type { Protocol } from '../core/protocol.js';
import { type Random, systemRandom } from '../core/random.js';
import { flagOfRefusal } from '../core/response-flag.js';
import { AccessEntry, type AccessTarget } from './access-entry.js';
import { type AccessRecord, jsonLine, textLine } from './access-line.js';
import { type LineSink, type LineStream, lineSink } from './line-sink.js';
import type { Semantics } from './semantics.js';

/** Options of {@link accessLog}. */
export interface AccessLogOptions {
  /**
   * Where lines go: a stream, in chunks, or a function, one line at a time and without its end. What either throws costs
   * lines and no call.
   *
   * @defaultValue `process.stdout`
   */
  readonly to?: LineStream | ((line: string) => void) | undefined;
  /**
   * One JSON object on a line, or a line of text in the order of Envoy's.
   *
   * @defaultValue `'json'`
   */
  readonly format?: 'json' | 'text' | undefined;
  /**
   * Share of the calls that went well which is written, 0 to 1. What failed, was refused, was cut off or took `slowMs` is
   * always written. A smaller value costs less.
   *
   * @defaultValue `1`
   */
  readonly sampleRatio?: number | undefined;
  /**
   * From what duration on a call is always written, in milliseconds; 0 or more. No effect with a `sampleRatio` of 1.
   *
   * @defaultValue `Infinity`
   */
  readonly slowMs?: number | undefined;
  /**
   * Whether the query is written with the path. It may hold what is nobody's business.
   *
   * @defaultValue `false`
   */
  readonly query?: boolean | undefined;
  /**
   * Further fields of a line. What it throws costs those fields.
   *
   * @defaultValue none
   */
  readonly fields?: ((call: Call) => Readonly<Record<string, unknown>>) | undefined;
  /**
   * How much may wait for a stream that does not keep up, in characters; 1024 or more. What is beyond is lost, and counted.
   *
   * @defaultValue `1_048_576`
   */
  readonly maxHeldBytes?: number | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Draws which calls are written.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link AccessLogOptions}. */
export const accessLogDefaults = {
  /** Looked up when a log is made: the `process.stdout` of then. */
  to: undefined as AccessLogOptions['to'],
  format: 'json' as 'json' | 'text',
  sampleRatio: 1,
  slowMs: Number.POSITIVE_INFINITY,
  query: false,
  /** None: lines have the fields of `docs/telemetry.md` alone. */
  fields: undefined as AccessLogOptions['fields'],
  maxHeldBytes: 1_048_576,
  clock: systemClock,
  random: systemRandom,
};

/** What an access log has to know of a wire. */
export interface AccessWire<Req, Res> {
  /** What the wire is called. */
  readonly semantics: Semantics<Req, Res>;
  /**
   * Tells when a response is over; without it a call is over with its response's headers.
   *
   * @defaultValue none
   */
  readonly protocol?: Protocol<Req, Res> | undefined;
}

/** Writes a line for each call of the servers that it stands in. */
export interface AccessLog {
  /** The log in a server stack: outside of whatever may refuse, inside of `tracing`. */
  middleware<Req, Res>(wire: AccessWire<Req, Res>): Middleware<Req, Res>;
  /** Also writes a line for requests that were refused before calls were made of them. @returns what ends that */
  listen(bus: Bus): () => void;
  /** Lines that could not be written. */
  readonly lost: number;
  /** Writes what is held back for a moment. */
  flush(): void;
  /** The same, for good. Lines that come later are still written, each by itself. */
  close(): void;
}

type Settings = Readonly<typeof accessLogDefaults>;

/** Of requests that no call was made of there is nothing else to say. */
const unnamed = {
  caller: undefined,
  operation: '',
  durationMs: 0,
  waitMs: undefined,
  errorType: undefined,
  trace: undefined,
} as const;

class Log implements AccessLog, AccessTarget {
  private readonly sink: LineSink;
  private readonly line: typeof jsonLine;
  private closed = false;
  private readonly atExit = (): void => this.flush();

  constructor(private readonly settings: Settings) {
    const { clock, maxHeldBytes } = settings;
    this.sink = lineSink('accessLog.to', settings.to ?? process.stdout, { clock, maxHeldBytes });
    this.line = settings.format === 'json' ? jsonLine : textLine;
    process.on('exit', this.atExit);
  }

  get lost(): number {
    return this.sink.lost;
  }
  get clock(): Clock {
    return this.settings.clock;
  }
  get query(): boolean {
    return this.settings.query;
  }

  middleware<Req, Res>({ semantics, protocol }: AccessWire<Req, Res>): Middleware<Req, Res> {
    const wire = { semantics, protocol };
    return (next) => (request, call) => {
      const entry = new AccessEntry(this, wire, request, call);
      return entry.follow(invoke(next, request, call));
    };
  }

  listen(bus: Bus): () => void {
    return bus.on('rejected', ({ service, code, count }) => {
      const status = Object.hasOwn(rejections, code) ? rejections[code as RejectionCode].http : undefined;
      const flags = flagOfRefusal(code);
      this.write(
        { ...unnamed, time: this.time(), service, status, flags, rejection: code, count },
        undefined,
      );
    });
  }

  wants(wentWell: boolean, durationMs: number): boolean {
    const { sampleRatio, slowMs, random } = this.settings;
    return !wentWell || durationMs >= slowMs || sampleRatio >= 1 || random() < sampleRatio;
  }

  write(record: AccessRecord, call: Call | undefined): void {
    this.sink.line(this.line(record, call && this.own(call)));
    if (this.closed) this.flush();
  }

  flush(): void {
    this.sink.flush();
  }

  close(): void {
    this.closed = true;
    process.removeListener('exit', this.atExit);
    this.flush();
  }

  private time(): string {
    return new Date(this.clock.wallMs()).toISOString();
  }

  private own(call: Call): Readonly<Record<string, unknown>> | undefined {
    try {
      return this.settings.fields?.(call);
    } catch {
      return undefined;
    }
  }
}

/**
 * Writes a line for each call of a server: what was asked, what was answered, how long it took and waited, and, in Envoy's
 * letters, why it did not end as it should.
 *
 * Use it once for each process, in the stacks of all its servers; `createApp({ accessLog })` does so. Not for calls that go
 * out: those are in traces and metrics. Nothing that others wrote can begin a line of its own or end a quote.
 *
 * A stream gets lines in chunks, ten times a second or when there is enough, and at the end of the process.
 *
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const app = createApp({ service: 'orders', accessLog: { format: 'text', sampleRatio: 0.1, slowMs: 500 } });
 * ```
 *
 * Source: Envoy, "Access logging", whose response flags these are; see `docs/telemetry.md` for what becomes which.
 */
export function accessLog(options: AccessLogOptions = {}): AccessLog {
  const settings = resolveOptions<Settings>('accessLog', accessLogDefaults, options, {
    sampleRatio: { min: 0, max: 1 },
    slowMs: { min: 0, infinite: true },
    maxHeldBytes: { min: 1024 },
  });
  checkChoice('accessLog.format', settings.format, ['json', 'text']);
  if (settings.fields !== undefined && typeof settings.fields !== 'function')
    throw wrongKind('accessLog.fields', 'a function', settings.fields);
  return new Log(settings);
}
