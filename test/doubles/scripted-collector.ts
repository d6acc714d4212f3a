import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { type ArrivedSpan, arrivedSpan, type SeenSpan } from './arrived-span.js';
import { decode, encode, spanIdsOf, type Tree } from './otlp-schema.js';

/** What the collector does with a request. */
export type Scripted =
  | 'ok'
  /** Never answers. */
  | 'hang'
  /** Breaks the connection without an answer. */
  | 'close'
  /** Takes it, and then does one of the two: the sender cannot know. */
  | { readonly taken: 'hang' | 'close' }
  /** Answers with what is no HTTP; over gRPC with bytes that are no message. */
  | 'garbage'
  /** Takes it, but so many not. */
  | { readonly partial: number; readonly message?: string }
  /** Answers 200 with this body. */
  | { readonly body: string | Buffer }
  | {
      /** Of HTTP, or of gRPC. */
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly message?: string;
      /** Over gRPC: `RetryInfo` in the details. */
      readonly retrySeconds?: number;
    };

/** A request as it came. */
export interface SeenRequest {
  readonly via: 'protobuf' | 'json' | 'grpc';
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Of the body as it came. */
  readonly wireBytes: number;
  readonly gzipped: boolean;
  /** `ExportTraceServiceRequest` or `ExportMetricsServiceRequest`, as the tree of OTLP/JSON. */
  readonly tree: Tree;
  readonly spans: number;
  readonly scripted: Scripted;
}

/** What an `AnyValue` holds: whole numbers as bigint, doubles as number, an empty one as null. */
export function plainValue(value: Tree): unknown {
  if (value === undefined || value === null) return null;
  if ('stringValue' in value) return value.stringValue;
  if ('boolValue' in value) return value.boolValue;
  if ('intValue' in value) return BigInt(value.intValue);
  if ('doubleValue' in value) return Number(value.doubleValue);
  if ('bytesValue' in value) return new Uint8Array(Buffer.from(value.bytesValue, 'base64'));
  if ('arrayValue' in value) return (value.arrayValue.values ?? []).map(plainValue);
  if ('kvlistValue' in value) return plainAttributes(value.kvlistValue.values);
  return null;
}

/** Attributes as an object. */
export function plainAttributes(list: Tree): Record<string, unknown> {
  return Object.fromEntries((list ?? []).map(({ key, value }: Tree) => [key ?? '', plainValue(value)]));
}

const spansOf = (tree: Tree): SeenSpan[] =>
  (tree.resourceSpans ?? []).flatMap(({ resource, scopeSpans }: Tree) =>
    (scopeSpans ?? []).flatMap(({ scope, spans }: Tree) =>
      (spans ?? []).map((span: Tree) => ({
        resource: plainAttributes(resource?.attributes),
        scope,
        attributes: plainAttributes(span.attributes),
        span,
      })),
    ),
  );

const requestTypes: Record<string, string> = {
  '/v1/traces': 'ExportTraceServiceRequest',
  '/v1/metrics': 'ExportMetricsServiceRequest',
};
const grpcServices = {
  Trace: ['opentelemetry.proto.collector.trace.v1.TraceService', '/v1/traces'],
  Metrics: ['opentelemetry.proto.collector.metrics.v1.MetricsService', '/v1/metrics'],
} as const;

const isOfMetrics = (path: string): boolean => path.endsWith('metrics');
const replyType = (path: string): string =>
  isOfMetrics(path) ? 'ExportMetricsServiceResponse' : 'ExportTraceServiceResponse';
const partialOf = (path: string, { partial, message }: { partial: number; message?: string }): Tree => ({
  partialSuccess: {
    [isOfMetrics(path) ? 'rejectedDataPoints' : 'rejectedSpans']: String(partial),
    ...(message !== undefined && { errorMessage: message }),
  },
});

/**
 * A collector on loopback that speaks OTLP over HTTP (protobuf and JSON) and over gRPC, decodes on its own, and answers as a
 * test wants.
 */
export class ScriptedCollector {
  readonly requests: SeenRequest[] = [];
  /** Spans that it has taken, and said so. */
  readonly spans: SeenSpan[] = [];
  /** Spans that it has taken, of which the sender does not know. */
  readonly unconfirmed: SeenSpan[] = [];
  /** Answers to come, first to last; then {@link ScriptedCollector.usual}. */
  script: Scripted[] = [];
  usual: Scripted | ((request: Omit<SeenRequest, 'scripted'>) => Scripted) = 'ok';
  /** Base URL for HTTP. */
  url = '';
  /** Base URL for gRPC; after `startGrpc`. */
  grpcUrl = '';
  /** Only the ids of spans are read, and nothing else is kept: for tests with very many. */
  idsOnly = false;
  private readonly ids: string[] = [];
  /** What could not be decoded. */
  readonly faults: unknown[] = [];
  /** Requests that wait for an answer that does not come. */
  hanging = 0;
  private readonly server = http.createServer((request, response) => void this.serve(request, response));
  private grpc: Server | undefined;

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  async startGrpc(options: object = {}): Promise<this> {
    const grpc = new Server(options);
    const same = (bytes: Buffer): Buffer => bytes;
    for (const [name, [service, path]] of Object.entries(grpcServices)) {
      grpc.addService(
        {
          export: {
            path: `/${service}/Export`,
            originalName: name,
            requestStream: false,
            responseStream: false,
            requestSerialize: same,
            requestDeserialize: same,
            responseSerialize: same,
            responseDeserialize: same,
          },
        },
        { export: (call: GrpcCall, done: GrpcDone) => this.serveGrpc(path, call, done) },
      );
    }
    const port = await new Promise<number>((resolve, reject) =>
      grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    this.grpc = grpc;
    this.grpcUrl = `http://127.0.0.1:${port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.grpc?.forceShutdown();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Ids of the spans that it has taken, each as often as it came. */
  get spanIds(): string[] {
    return [...this.ids, ...this.spans.map(({ span }) => span.spanId)];
  }

  /** The spans that it has taken, in plain words. */
  get arrived(): readonly ArrivedSpan[] {
    return this.spans.map(arrivedSpan);
  }

  /** Those of one kind. */
  ofKind(kind: ArrivedSpan['kind']): readonly ArrivedSpan[] {
    return this.arrived.filter((span) => span.kind === kind);
  }

  /** Forgets what has come so far. */
  reset(): void {
    for (const list of [this.requests, this.spans, this.unconfirmed, this.ids, this.faults]) list.length = 0;
  }

  /** Metrics of all requests, latest last. */
  get metrics(): Tree[] {
    return this.requests.flatMap(({ tree }) =>
      (tree.resourceMetrics ?? []).flatMap(({ scopeMetrics }: Tree) =>
        scopeMetrics.flatMap(({ metrics }: Tree) => metrics),
      ),
    );
  }

  private take(seen: Omit<SeenRequest, 'scripted' | 'spans'>): Scripted {
    const spans = spansOf(seen.tree);
    const request = { ...seen, spans: spans.length };
    const scripted =
      this.script.shift() ?? (typeof this.usual === 'function' ? this.usual(request) : this.usual);
    this.requests.push({ ...request, scripted });
    const isTaken = scripted === 'ok' || (typeof scripted === 'object' && !('status' in scripted));
    if (typeof scripted === 'object' && 'taken' in scripted) {
      this.unconfirmed.push(...spans);
    } else if (isTaken) {
      const rejected = typeof scripted === 'object' && 'partial' in scripted ? scripted.partial : 0;
      this.spans.push(...spans.slice(rejected));
    }
    return scripted;
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const wire = Buffer.concat(chunks);
      const path = request.url ?? '';
      const gzipped = request.headers['content-encoding'] === 'gzip';
      const body = gzipped ? gunzipSync(wire) : wire;
      const via = request.headers['content-type'] === 'application/json' ? 'json' : 'protobuf';
      const type = requestTypes[new URL(path, 'http://collector').pathname.replace(/^.*(?=\/v1\/)/, '')];
      if (type === undefined || request.method !== 'POST') return void response.writeHead(404).end();
      if (this.idsOnly) {
        const scripted = this.script.shift() ?? (typeof this.usual === 'function' ? 'ok' : this.usual);
        if (scripted === 'ok') for (const id of spanIdsOf(body)) this.ids.push(id);
        this.answer(response, scripted, { via, path });
        return;
      }
      const tree = via === 'json' ? JSON.parse(body.toString()) : decode(type, body);
      const { headers } = request;
      const scripted = this.take({ via, path, headers, wireBytes: wire.length, gzipped, tree });
      this.answer(response, scripted, { via, path });
    } catch (error) {
      // A connection that the client broke off is none.
      if (!request.destroyed || request.complete) this.faults.push(error);
      if (!response.headersSent) response.writeHead(400).end();
    }
  }

  private answer(
    response: http.ServerResponse,
    scripted: Scripted,
    { via, path }: { readonly via: 'protobuf' | 'json'; readonly path: string },
  ): void {
    const broken = brokenBy(scripted);
    if (broken === 'hang') {
      this.hanging++;
      response.once('close', () => this.hanging--);
      return;
    }
    if (broken === 'close') return void response.destroy();
    if (scripted === 'garbage') return void response.socket?.end('\u0000\u0001 this is not HTTP\r\n\r\n');
    const type = via === 'json' ? 'application/json' : 'application/x-protobuf';
    const written = (name: string, tree: Tree): Buffer =>
      via === 'json' ? Buffer.from(JSON.stringify(tree)) : encode(name, tree);
    if (typeof scripted === 'object' && 'status' in scripted) {
      const body = written('RpcStatus', { message: scripted.message ?? '' });
      response.writeHead(scripted.status, { 'content-type': type, ...scripted.headers }).end(body);
      return;
    }
    response.writeHead(200, { 'content-type': type });
    if (typeof scripted !== 'object') response.end(written(replyType(path), {}));
    else if ('body' in scripted) response.end(scripted.body);
    else if ('partial' in scripted) response.end(written(replyType(path), partialOf(path, scripted)));
  }

  private serveGrpc(path: string, call: GrpcCall, done: GrpcDone): void {
    try {
      const tree = decode(requestTypes[path] ?? '', call.request);
      const headers = call.metadata.getMap();
      const wireBytes = call.request.length;
      const scripted = this.take({ via: 'grpc', path, headers, wireBytes, gzipped: false, tree });
      const broken = brokenBy(scripted);
      if (broken === 'hang') return;
      if (broken === 'close') done({ code: 14, details: 'closed' });
      else if (typeof scripted === 'object' && 'status' in scripted) done(statusOf(scripted));
      else done(null, replyOf(path, scripted));
    } catch (error) {
      this.faults.push(error);
      done({ code: 3, details: String(error) });
    }
  }
}

/** How no answer comes, if none does. */
const brokenBy = (scripted: Scripted): Scripted =>
  typeof scripted === 'object' && 'taken' in scripted ? scripted.taken : scripted;

/** What goes over gRPC for a request that was taken. */
function replyOf(path: string, scripted: Scripted): Buffer {
  if (scripted === 'garbage') return Buffer.from([0x0a, 0xff]);
  if (typeof scripted !== 'object') return Buffer.alloc(0);
  if ('body' in scripted) return Buffer.from(scripted.body);
  return 'partial' in scripted ? encode(replyType(path), partialOf(path, scripted)) : Buffer.alloc(0);
}

/** A status of gRPC, with `RetryInfo` if it is asked for. */
function statusOf({ status, message = '', retrySeconds }: Extract<Scripted, { status: number }>) {
  const metadata = new Metadata();
  if (retrySeconds !== undefined) {
    const delay = { seconds: Math.floor(retrySeconds), nanos: (retrySeconds % 1) * 1e9 };
    const value = encode('RetryInfo', { retryDelay: delay }).toString('base64');
    const details = [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value }];
    metadata.set('grpc-status-details-bin', encode('RpcStatus', { code: status, message, details }));
  }
  return { code: status, details: message, metadata };
}

interface GrpcCall {
  readonly request: Buffer;
  readonly metadata: Metadata;
}
type GrpcDone = (
  error: { readonly code: number; readonly details: string; readonly metadata?: Metadata } | null,
  value?: Buffer,
) => void;
