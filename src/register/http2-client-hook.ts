import { errorMonitor } from 'node:events';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { syncBuiltinESMExports } from 'node:module';
import { type Attributes, diag } from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import { methodAttributes, methodOf } from '../telemetry/http-method.js';
import { redactSignatures } from '../telemetry/http-url.js';
import { keepGrpcContext } from './grpc-queue.js';
import { grpcStatus, type Http2Headers, isGrpc } from './grpc-status.js';
import { streamHeaders, writableHeaders } from './http2-headers.js';
import type { Origin, Origins } from './origin.js';
import { patch } from './patch.js';
import { type Departure, depart, departing, type SentRequest } from './sent-request.js';
import type { Witness } from './witness.js';

type Headers = Record<string, unknown> & Http2Headers;
type Request = (this: ClientHttp2Session, ...args: unknown[]) => ClientHttp2Stream;

function textOf(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return value === undefined ? undefined : String(value);
}

/** What sessions were connected to, which they do not tell. */
const connectedTo = new WeakMap<ClientHttp2Session, string>();

/** Where a session goes; requests may name another host of the same server. */
function placeOf(session: ClientHttp2Session, headers: Headers, origins: Origins): Origin | undefined {
  const authority = textOf(headers, ':authority') ?? textOf(headers, 'host');
  const known = connectedTo.get(session);
  if (authority === undefined) return known === undefined ? undefined : origins.of(known);
  const scheme = textOf(headers, ':scheme') ?? (session.encrypted ? 'https' : 'http');
  return origins.of(`${scheme}://${authority}`);
}

class GrpcDeparture implements Departure {
  readonly measuredBy = 'rpcClient';
  readonly headers: Carrier;
  readonly labels: Attributes;
  readonly inner: boolean;
  readonly name: string;

  constructor(headers: Headers, place: Origin | undefined) {
    this.headers = streamHeaders(headers);
    this.name = (textOf(headers, ':path') ?? '/').slice(1);
    this.inner = place?.inner === true;
    this.labels = { 'rpc.system.name': 'grpc', 'rpc.method': this.name };
    if (place === undefined) return;
    this.labels['server.address'] = place.host;
    this.labels['server.port'] = place.port;
  }

  describe(): Attributes {
    return {};
  }
}

class Http2Departure implements Departure {
  readonly measuredBy = 'client';
  readonly headers: Carrier;
  readonly labels: Attributes;
  readonly inner: boolean;
  readonly name: string;

  constructor(
    private readonly sent: Headers,
    private readonly place: Origin | undefined,
  ) {
    this.headers = streamHeaders(sent);
    this.inner = place?.inner === true;
    const method = methodOf(textOf(sent, ':method'));
    this.name = method === '_OTHER' ? 'HTTP' : method;
    this.labels = { 'http.request.method': method, 'network.protocol.version': '2' };
    if (place === undefined) return;
    this.labels['server.address'] = place.host;
    this.labels['server.port'] = place.port;
  }

  describe(): Attributes {
    const { sent, place } = this;
    const url = `${place?.text ?? ''}${textOf(sent, ':path') ?? '/'}`;
    return { ...methodAttributes(textOf(sent, ':method')), 'url.full': redactSignatures(url) };
  }
}

/** Ends the record with the stream; the headers and trailers that came tell how. */
function follow(stream: ClientHttp2Stream, sent: SentRequest, grpc: boolean): void {
  let answer: Http2Headers | undefined;
  let trailers: Http2Headers | undefined;
  let error: unknown;
  // Unlike in HTTP/1, who listens to these changes nothing. To `error` it would: one that nobody minds ends the process.
  stream.on('response', (headers: Http2Headers) => {
    answer = headers;
  });
  stream.on('trailers', (headers: Http2Headers) => {
    trailers = headers;
  });
  stream.on(errorMonitor, (thrown: unknown) => {
    error ??= thrown;
  });
  stream.on('close', () => {
    if (grpc) {
      const status = grpcStatus([trailers, answer], stream.rstCode);
      const errorType = status === 'OK' ? undefined : status;
      sent.end({ labels: { 'rpc.response.status_code': status }, errorType });
      return;
    }
    const status = Number(answer?.[':status']);
    if (answer === undefined) sent.end({ error: error ?? undefined });
    else
      sent.end({
        labels: { 'http.response.status_code': status },
        errorType: status >= 400 ? String(status) : undefined,
        error,
      });
  });
}

function hookSession(prototype: object, witness: Witness): () => void {
  return patch(prototype as { request: Request }, 'request', (original, state) => {
    return function request(this: ClientHttp2Session, ...args: unknown[]): ClientHttp2Stream {
      const active = departing();
      const given = (args[0] ?? {}) as Headers;
      // Lists of names and values come with Node 24.
      if (active === undefined || state.isOver || Array.isArray(given)) return original.apply(this, args);
      const headers = writableHeaders(given);
      const grpc = isGrpc(headers);
      let sent: SentRequest | undefined;
      try {
        const place = placeOf(this, headers, witness.origins);
        const departure = grpc ? new GrpcDeparture(headers, place) : new Http2Departure(headers, place);
        sent = depart(departure, active, witness);
      } catch (fault) {
        diag.error('keelson: a request could not be traced', fault);
      }
      try {
        const stream = original.call(this, headers, ...args.slice(1));
        if (sent === undefined) return stream;
        follow(stream, sent, grpc);
        return stream;
      } catch (error) {
        sent?.end({ error });
        throw error;
      }
    };
  });
}

/**
 * Traces what goes out by `node:http2`, gRPC above all: grpc-js asks each of its sessions by `request`, and the class of
 * sessions is found on the first one that is made.
 */
export function hookHttp2Clients(witness: Witness): () => void {
  const undo: (() => void)[] = [];
  const seen = new Set<object>();
  undo.push(
    patch(http2 as { connect: typeof http2.connect }, 'connect', (original, state) => {
      const connect = function connect(this: unknown, ...args: Parameters<typeof original>) {
        const session = Reflect.apply(original, this, args) as ClientHttp2Session;
        if (state.isOver) return session;
        connectedTo.set(session, String(args[0]));
        keepGrpcContext();
        const prototype = Object.getPrototypeOf(session) as object;
        if (!seen.has(prototype)) {
          seen.add(prototype);
          undo.push(hookSession(prototype, witness));
        }
        return session;
      };
      return connect as typeof original;
    }),
  );
  syncBuiltinESMExports();
  return () => {
    for (const one of undo.splice(0)) one();
    syncBuiltinESMExports();
  };
}
