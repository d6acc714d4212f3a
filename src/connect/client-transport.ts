import type { StreamResponse, Transport, UnaryResponse } from '@connectrpc/connect';
import { type CancelSource, cancelledBy, cancelSource, uncancelled } from '../core/cancel.js';
import { type Handler, invoke } from '../core/handler.js';
import { whenOver } from '../core/protocol.js';
import type { Caller, Given } from './caller.js';
import { connectClientProtocol } from './client-protocol.js';
import type { ConnectAnswer } from './connect-answer.js';
import {
  type ConnectRequest,
  type OutgoingRequest,
  StreamOutgoing,
  UnaryOutgoing,
} from './connect-request.js';
import { errorForCaller } from './refusal-error.js';
import { sendsStream } from './rpc-method.js';
import { StreamReader } from './stream-reader.js';
import { Upload } from './upload.js';

type UnaryCall = Parameters<Transport['unary']>;
type StreamCall = Parameters<Transport['stream']>;
type Response = UnaryResponse | StreamResponse;

function responseOf({ error, response }: ConnectAnswer): Response {
  if (error !== undefined) throw error;
  return response as Response;
}

/** Must not lead to a reader: a stream that nobody reads would never be collected. */
function atEnd(running: Promise<ConnectAnswer>, run: (error: unknown) => void): void {
  running.then(
    (answer) => whenOver(connectClientProtocol, answer, () => run(answer.error)),
    (error: unknown) => run(error),
  );
}

/** A service as one transport, whose calls go through a client stack. */
export class ClientTransport {
  constructor(
    private readonly handler: Handler<ConnectRequest, ConnectAnswer>,
    private readonly caller: Caller,
  ) {}

  async unary(...given: UnaryCall): Promise<UnaryResponse> {
    const [method, signal, timeoutMs, header, message, contextValues] = given;
    const cancel = signal === undefined ? undefined : cancelSource(cancelledBy(signal));
    try {
      const request = new UnaryOutgoing(method, message, timeoutMs, contextValues);
      const answer = await this.send(request, { header, cancel: cancel ?? uncancelled });
      return responseOf(answer) as UnaryResponse;
    } catch (error) {
      throw errorForCaller(error, cancel ?? uncancelled);
    } finally {
      cancel?.dispose();
    }
  }

  async stream(...given: StreamCall): Promise<StreamResponse> {
    const cancel = cancelSource(cancelledBy(given[1]));
    try {
      return await this.open(given, cancel);
    } catch (error) {
      cancel.dispose();
      throw errorForCaller(error, cancel);
    }
  }

  private async open(given: StreamCall, cancel: CancelSource): Promise<StreamResponse> {
    const [method, , timeoutMs, header, input, contextValues] = given;
    const upload = new Upload(input);
    const deadline = this.caller.deadline(timeoutMs);
    const request = new StreamOutgoing(method, upload, deadline, timeoutMs, contextValues);
    const headed = new Promise<StreamResponse>((resolve) => {
      if (sendsStream(method)) request.onHeader = resolve;
    });
    const running = this.send(request, { header, cancel });
    atEnd(running, (error) => {
      cancel.dispose();
      upload.end(error === undefined ? undefined : errorForCaller(error, cancel));
    });
    const response = await Promise.race([headed, running.then(responseOf)]);
    return { ...(response as StreamResponse), message: new StreamReader(running, cancel) as never };
  }

  private async send(request: OutgoingRequest, given: Given): Promise<ConnectAnswer> {
    if (given.cancel.aborted) throw given.cancel.reason;
    return invoke(this.handler, request, this.caller.call(request, given));
  }
}
