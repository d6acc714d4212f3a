import type { EncodingName } from './encoding.js';
import { type GrpcClientLike, type GrpcErrorLike, type GrpcLike, loadGrpc } from './grpc-like.js';
import { type HeaderSource, headersOf } from './header-source.js';
import { fieldOf, fieldsOf } from './message-fields.js';
import { protobufEncoding } from './protobuf-encoding.js';
import type { Answer, Consignment, Sender, Signal } from './sender.js';

/** Keys and certificates in PEM, as `node:tls` names them. */
interface TlsParts {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
}

/** What {@link grpcSender} needs. */
export interface GrpcSenderInit {
  /** With `https:` or `grpcs:` over TLS, with `http:` or `grpc:` without. */
  readonly url: string;
  readonly signal: Signal;
  readonly headers: HeaderSource;
  readonly gzip: boolean;
  readonly tls: TlsParts | undefined;
  /** Another copy of `@grpc/grpc-js` than the one that is found from here. */
  readonly grpc: GrpcLike | undefined;
}

const methods: Readonly<Record<Signal, string>> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
};

/** Status codes by their numbers; CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const retryable: readonly number[] = [1, 4, 10, 11, 14, 15];
const invalidArgument = 3;
const resourceExhausted = 8;
const outOfRange = 11;
/** What servers of Go and JavaScript, of Java, and of Rust say of a message beyond their limit; there is no code for it. */
const tooLarge = /larger than|exceeds maximum|too large/i;
/** The algorithm of the channel option that compresses: 2 is gzip. */
const gzip = 2;

/** Milliseconds of a `google.protobuf.Duration`. */
function durationMs(duration: Buffer): number {
  const seconds = fieldOf(duration, 1);
  const nanos = fieldOf(duration, 2);
  return (typeof seconds === 'number' ? seconds * 1000 : 0) + (typeof nanos === 'number' ? nanos / 1e6 : 0);
}

/** How long a status asks to stay away: the `RetryInfo` among the details of `google.rpc.Status`. */
function retryDelayMs({ metadata }: GrpcErrorLike): number | undefined {
  try {
    const status = metadata?.get('grpc-status-details-bin')[0];
    if (!Buffer.isBuffer(status)) return undefined;
    for (const { number, value } of fieldsOf(status)) {
      if (number !== 3 || typeof value === 'number') continue;
      if (!String(fieldOf(value, 1)).endsWith('google.rpc.RetryInfo')) continue;
      const info = fieldOf(value, 2);
      const delay = Buffer.isBuffer(info) ? fieldOf(info, 1) : undefined;
      return Buffer.isBuffer(delay) ? durationMs(delay) : 0;
    }
  } catch {
    // Details that cannot be read say nothing.
  }
  return undefined;
}

/** What a status means. Source: OpenTelemetry Protocol, "OTLP/gRPC Response", "Failures". */
function judge(error: GrpcErrorLike): Answer {
  const { code } = error;
  const why = `gRPC status ${code} ${error.details ?? error.message ?? ''}`;
  const afterMs = retryDelayMs(error);
  if (code === resourceExhausted && afterMs !== undefined) return { kind: 'later', afterMs, why };
  if ((code === resourceExhausted || code === outOfRange) && tooLarge.test(why))
    return { kind: 'too_large', why };
  if (code !== undefined && retryable.includes(code)) return { kind: 'later', afterMs, why };
  return { kind: 'refused', reason: code === invalidArgument ? 'rejected' : 'export_failed', why };
}

const asBuffer = (part: string | Buffer | undefined): Buffer | null =>
  part === undefined ? null : Buffer.from(part);
const same = (bytes: Buffer): Buffer => bytes;

class GrpcSender implements Sender {
  /** grpc-js compresses by itself, off the thread too, and takes nothing that is compressed already. */
  readonly wantsGzip = false;
  private client: GrpcClientLike | undefined;
  /** How to end the calls that are under way. */
  private readonly calls = new Set<() => void>();
  private over = false;

  constructor(private readonly init: GrpcSenderInit) {}

  carries(encoding: EncodingName): boolean {
    return encoding === 'protobuf';
  }

  async send({ body }: Consignment, signal: AbortSignal): Promise<Answer> {
    try {
      const grpc = this.init.grpc ?? (await loadGrpc());
      const headers = await headersOf(this.init.headers);
      if (this.over || signal.aborted) return { kind: 'later', why: 'aborted' };
      return await this.call(grpc, { body, headers, signal });
    } catch (error) {
      return { kind: 'later', why: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Ends calls, which hold the process; grpc-js takes no connection back that it has begun, and that holds it too. */
  letGo(): void {
    for (const cancel of [...this.calls]) cancel();
    this.client?.close();
    this.client = undefined;
  }

  close(): void {
    this.over = true;
    this.client?.close();
  }

  private async call(
    grpc: GrpcLike,
    {
      body,
      headers,
      signal,
    }: {
      readonly body: Buffer;
      readonly headers: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
    },
  ): Promise<Answer> {
    this.client ??= this.connect(grpc);
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name.toLowerCase(), value);
    const method = methods[this.init.signal];
    let call: { cancel(): void } | undefined;
    const cancel = (): void => call?.cancel();
    this.calls.add(cancel);
    try {
      return await new Promise((resolve) => {
        call = this.client?.makeUnaryRequest(method, same, same, body, metadata, (error, value) => {
          if (error !== null) return resolve(judge(error));
          const reply = value === undefined ? undefined : protobufEncoding.reply(value);
          resolve({ kind: 'taken', rejected: reply?.rejected ?? 0, message: reply?.message ?? '' });
        });
        signal.addEventListener('abort', cancel, { once: true });
      });
    } finally {
      this.calls.delete(cancel);
    }
  }

  private connect(grpc: GrpcLike): GrpcClientLike {
    const { url, tls } = this.init;
    const { protocol, host } = new URL(url);
    const secure = protocol === 'https:' || protocol === 'grpcs:';
    const credentials = secure
      ? grpc.credentials.createSsl(asBuffer(tls?.ca), asBuffer(tls?.key), asBuffer(tls?.cert))
      : grpc.credentials.createInsecure();
    const options = {
      // What is to be tried again is decided above, with the waits that all requests share.
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      ...(this.init.gzip && { 'grpc.default_compression_algorithm': gzip }),
    };
    return new grpc.Client(host, credentials as never, options);
  }
}

/** Sends by gRPC, through the user's `@grpc/grpc-js`. */
export function grpcSender(init: GrpcSenderInit): Sender {
  return new GrpcSender(init);
}
