import diagnosticsChannel from 'node:diagnostics_channel';
import { type Attributes, diag } from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import { methodAttributes, methodOf } from '../telemetry/http-method.js';
import { redactSignatures } from '../telemetry/http-url.js';
import { givesWay } from '../telemetry/instrumented.js';
import type { Origin } from './origin.js';
import { type Departure, depart, departing, type SentRequest, tellCaller } from './sent-request.js';
import { type UndiciRequest, undiciHeaders } from './undici-headers.js';
import type { Witness } from './witness.js';

class UndiciDeparture implements Departure {
  readonly measuredBy = 'client';
  readonly headers: Carrier;
  readonly labels: Attributes;
  readonly inner: boolean;

  constructor(
    private readonly request: UndiciRequest,
    private readonly origin: Origin,
  ) {
    this.headers = undiciHeaders(request);
    this.inner = origin.inner;
    this.labels = {
      'http.request.method': methodOf(request.method),
      'server.address': origin.host,
      'server.port': origin.port,
    };
  }

  get name(): string {
    const method = methodOf(this.request.method);
    return method === '_OTHER' ? 'HTTP' : method;
  }

  describe(): Attributes {
    const { method, path } = this.request;
    return { ...methodAttributes(method), 'url.full': redactSignatures(`${this.origin.text}${path}`) };
  }
}

/** The one who listens, and the names of those that instrumentations have: OpenTelemetry, Sentry, Elastic. */
const tracers = /onrequestcreate/i;

interface Listened {
  readonly _subscribers?: readonly { readonly name: string }[] | undefined;
}

/**
 * Whether another tracer listens to undici's requests: it makes a CLIENT span and appends headers to whatever is there, so
 * ours has to stay away. Asked at each request, since it may come late and go again.
 */
function isTraced(channel: unknown): boolean {
  const { _subscribers: all } = channel as Listened;
  return all !== undefined && all.length > 1 && all.some(({ name }) => tracers.test(name));
}

/** What is told of the answers to requests that we have seen begin. */
class UndiciRequests {
  private readonly sent = new WeakMap<object, SentRequest>();
  private readonly statuses = new WeakMap<object, number>();

  constructor(
    private readonly witness: Witness,
    private readonly created: diagnosticsChannel.Channel,
  ) {}

  create({ request }: { readonly request: UndiciRequest }): void {
    const active = departing();
    // What comes after an upgrade has no end that undici tells.
    if (active === undefined || request.method === 'CONNECT' || request.upgrade) return;
    const origin = this.witness.origins.of(String(request.origin));
    if (origin === undefined) return;
    if (isTraced(this.created)) {
      tellCaller({ headers: undiciHeaders(request), inner: origin.inner }, this.witness);
      return;
    }
    const sent = depart(new UndiciDeparture(request, origin), active, this.witness);
    if (sent !== undefined) this.sent.set(request, sent);
  }

  connect({ request, socket }: { readonly request: object; readonly socket?: Peer | undefined }): void {
    const sent = this.sent.get(request);
    if (sent === undefined || !sent.isRecorded || typeof socket?.remoteAddress !== 'string') return;
    sent.span?.setAttribute('network.peer.address', socket.remoteAddress);
    if (socket.remotePort !== undefined) sent.span?.setAttribute('network.peer.port', socket.remotePort);
  }

  answer({
    request,
    response,
  }: {
    readonly request: object;
    readonly response: { statusCode: number };
  }): void {
    if (this.sent.has(request)) this.statuses.set(request, response.statusCode);
  }

  end({ request, error }: { readonly request: object; readonly error?: unknown }): void {
    const sent = this.sent.get(request);
    if (sent === undefined) return;
    this.sent.delete(request);
    const status = this.statuses.get(request);
    if (status === undefined) {
      sent.end({ error });
      return;
    }
    const labels = { 'http.response.status_code': status };
    sent.end({ labels, errorType: status >= 400 ? String(status) : undefined, error });
  }
}

interface Peer {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/**
 * Traces what goes out by undici: the platform's `fetch`, and the package in any version, which all tell of their requests
 * on the same channels.
 */
export function hookUndici(witness: Witness): () => void {
  const created = diagnosticsChannel.channel('undici:request:create');
  const requests = new UndiciRequests(witness, created);
  const listen = <Message>(name: string, hear: (message: Message) => void): (() => void) => {
    const listener = givesWay((message: unknown): void => {
      try {
        hear(message as Message);
      } catch (fault) {
        diag.error('keelson: a request could not be traced', fault);
      }
    });
    diagnosticsChannel.subscribe(name, listener);
    return () => void diagnosticsChannel.unsubscribe(name, listener);
  };
  const undo = [
    listen('undici:request:create', requests.create.bind(requests)),
    listen('undici:client:sendHeaders', requests.connect.bind(requests)),
    listen('undici:request:headers', requests.answer.bind(requests)),
    listen('undici:request:trailers', requests.end.bind(requests)),
    listen('undici:request:error', requests.end.bind(requests)),
  ];
  return () => {
    for (const one of undo) one();
  };
}
