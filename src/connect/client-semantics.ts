import type { Attributes } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Semantics } from '../telemetry/semantics.js';
import { codeName } from './code.js';
import type { ConnectAnswer } from './connect-answer.js';
import type { ConnectRequest } from './connect-request.js';
import { errorForCaller } from './refusal-error.js';
import { pathOf } from './rpc-method.js';

const methodOf = ({ method }: ConnectRequest): string => pathOf(method).slice(1);

/** `server.address` is the logical service, as the conventions ask: a name for the group of its instances. */
const attributesOf = (request: ConnectRequest, call: Call): Attributes => ({
  'rpc.system.name': 'connectrpc',
  'rpc.method': methodOf(request),
  'server.address': call.service,
});

/** The instance that a try went to. */
function writePeer(into: Attributes, { attempt: { endpoint } }: Call): Attributes {
  if (endpoint === undefined) return into;
  const { hostname, port } = new URL(endpoint.url);
  into['network.peer.address'] = hostname.replace(/^\[|\]$/g, '');
  if (port !== '') into['network.peer.port'] = Number(port);
  return into;
}

/** Only errors have a code. */
const codeOf = ({ error }: ConnectAnswer): string | undefined => error && codeName(error.code);

const codeAttributes = (code: string | undefined): Attributes =>
  code === undefined ? {} : { 'rpc.response.status_code': code };

/**
 * The semantic conventions for clients of Connect (release candidate of 2026), whichever protocol they speak: names of
 * spans, attributes, measurements. On this side every code is an error.
 */
export const connectClientSemantics: Semantics<ConnectRequest, ConnectAnswer> = {
  spanName: methodOf,
  requestAttributes: (request, call) => writePeer(attributesOf(request, call), call),
  responseAttributes: (answer) => codeAttributes(codeOf(answer)),
  errorAttributes: (error, { cancel }) => codeAttributes(codeName(errorForCaller(error, cancel).code)),
  errorType: codeOf,
  activeAttributes: attributesOf,
  durationAttributes: (request, answer, call) => ({
    ...attributesOf(request, call),
    ...(answer === undefined ? {} : codeAttributes(codeOf(answer))),
  }),
  duration: {
    name: 'rpc.client.call.duration',
    description: 'Duration of outgoing remote procedure calls.',
    unit: 's',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  },
};
