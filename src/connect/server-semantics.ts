import { Code } from '@connectrpc/connect';
import type { Attributes } from '@opentelemetry/api';
import type { Semantics } from '../telemetry/semantics.js';
import { codeName } from './code.js';
import { type ConnectExchange, codeOfError } from './connect-exchange.js';
import { pathOf } from './rpc-method.js';

/** The codes that are a fault of the server; the others are answers that the client may have asked for. */
const faults: ReadonlySet<number> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

const methodOf = ({ method }: ConnectExchange): string => pathOf(method).slice(1);

const attributesOf = (exchange: ConnectExchange): Attributes => ({
  'rpc.system.name': 'connectrpc',
  'rpc.method': methodOf(exchange),
});

/** Only errors have a code. */
const codeAttributes = (error: unknown): Attributes =>
  error === undefined ? {} : { 'rpc.response.status_code': codeName(codeOfError(error)) };

function errorType({ error }: ConnectExchange): string | undefined {
  if (error === undefined) return undefined;
  const code = codeOfError(error);
  return faults.has(code) ? codeName(code) : undefined;
}

function peerAttributes({ peer }: ConnectExchange): Attributes {
  if (peer?.address === undefined) return {};
  const attributes: Attributes = { 'client.address': peer.address, 'network.peer.address': peer.address };
  if (peer.port !== undefined) attributes['network.peer.port'] = peer.port;
  return attributes;
}

/**
 * The semantic conventions for servers of Connect (release candidate of 2026), whichever protocol their clients speak:
 * names of spans, attributes, measurements.
 *
 * `unknown`, `deadline_exceeded`, `unimplemented`, `internal`, `unavailable` and `data_loss` are errors of the server.
 */
export const connectServerSemantics: Semantics<ConnectExchange, ConnectExchange> = {
  spanName: methodOf,
  requestAttributes: (exchange) => ({ ...attributesOf(exchange), ...peerAttributes(exchange) }),
  responseAttributes: ({ error }) => codeAttributes(error),
  errorAttributes: codeAttributes,
  errorType,
  activeAttributes: attributesOf,
  durationAttributes: (exchange, response) => ({
    ...attributesOf(exchange),
    ...(response === undefined ? {} : codeAttributes(response.error)),
  }),
  duration: {
    name: 'rpc.server.call.duration',
    description: 'Duration of inbound remote procedure calls.',
    unit: 's',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  },
};
