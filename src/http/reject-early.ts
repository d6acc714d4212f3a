import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../core/clock.js';
import type { EarlyRefuser } from '../core/early-refusal.js';
import type { RejectionCode } from '../core/errors.js';
import type { Ask } from '../core/gate.js';
import { type RejectAnswer, RejectAnswers } from './reject-answer.js';
import { type LineDoor, turnAwayOnLine } from './reject-line.js';
import { isPlainRequest } from './reject-request.js';
import { markTurnedAway } from './served-call.js';
import { breakOff, endUpload, isOver } from './server-response.js';

/** A request that is refused before a call was made of it. */
export interface RefusedRequest extends Ask {
  readonly operation: string;
  /** As it came. Its headers are best read as they came too: Node's record of them costs as much as the refusal. */
  readonly req: IncomingMessage;
  /** Whether its peer is believed; found out when it is asked. */
  readonly trusted: boolean;
}

/** How a listener refuses requests before it makes calls of them. */
export interface RejectEarly {
  /** Who refuses. */
  readonly refuser: EarlyRefuser;
  /** Tells the time. */
  readonly clock: Clock;
  /**
   * Further headers of the answers, which are made anew at most ten times a second. What it throws counts as none.
   *
   * @param trusted - whether the peer is believed
   * @defaultValue none
   */
  readonly headers?: ((trusted: boolean) => Readonly<Record<string, string>> | undefined) | undefined;
  /**
   * Told of each request that is refused; what it throws is dropped.
   *
   * @defaultValue none
   */
  readonly onReject?: ((code: RejectionCode, refused: RefusedRequest) => void) | undefined;
}

/** What is known of a request without a call. */
export interface RequestReader {
  /** Whether it is answered by other means, whatever the load. */
  exempt(req: IncomingMessage): boolean;
  ask(req: IncomingMessage): RefusedRequest;
  trusts(req: IncomingMessage): boolean;
}

const streamOf = (res: ServerResponse): ServerHttp2Stream | undefined =>
  (res as { readonly stream?: ServerHttp2Stream }).stream;

function keepAliveMsOf(req: IncomingMessage): number {
  const { server } = req.socket as { readonly server?: { readonly keepAliveTimeout?: number } };
  return server?.keepAliveTimeout ?? 0;
}

/** Over HTTP/2 there is no body where none is needed: what it would say is in the headers, and a frame less is sent. */
function respondOn(stream: ServerHttp2Stream, answer: RejectAnswer, withBody: boolean): void {
  const sent: Record<string, string | number> = { ':status': answer.status };
  const { headers } = answer;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string;
    if (withBody || !name.startsWith('content-')) sent[name] = headers[at + 1] as string;
  }
  stream.respond(sent, { endStream: !withBody });
  if (withBody) stream.end(answer.body);
}

/**
 * Answers requests that a limiter refuses, before a call is made of them and, on connections of HTTP/1 that the listener
 * answers alone, before Node makes a response. Nothing else hears of them but who listens to {@link RejectEarly.onReject}.
 */
export class EarlyRejects implements LineDoor {
  private readonly answers = new RejectAnswers();
  /** Was let come just now: who refuses is not asked twice. */
  private letCome: IncomingMessage | undefined;

  constructor(
    private readonly source: RejectEarly,
    private readonly reader: RequestReader,
  ) {}

  get refusing(): boolean {
    return this.source.refuser.refusing;
  }

  bytesFor(req: IncomingMessage): Buffer | undefined {
    if (!isPlainRequest(req)) return undefined;
    const answer = this.answerTo(req);
    if (answer === undefined) this.letCome = req;
    return req.method === 'HEAD' ? answer?.headBytes : answer?.bytes;
  }

  /**
   * Answers a request if it is refused.
   *
   * @param listener - the function that Node calls for each request, if it is known to stand alone
   * @returns whether it did
   */
  turnsAway(req: IncomingMessage, res: ServerResponse, listener: unknown): boolean {
    const asked = this.letCome === req;
    this.letCome = undefined;
    if (asked || !this.refusing) return false;
    // What is peculiar, or was prepared for by somebody, is refused in the usual way.
    if (req.httpVersionMajor === 1 && !isPlainRequest(req)) return false;
    if (isOver(res) || res.headersSent || res.getHeaderNames().length > 0) return false;
    const answer = this.answerTo(req);
    if (answer === undefined) return false;
    // Node has told others of it, who may count what nobody governs.
    markTurnedAway(streamOf(res) ?? req);
    try {
      turnAwayOnLine({ req, res }, listener, this);
      this.send(req, res, answer);
    } catch {
      // A patched response, for example: no answer is better than half of one.
      breakOff(res);
    }
    return true;
  }

  private send(req: IncomingMessage, res: ServerResponse, answer: RejectAnswer): void {
    const stream = streamOf(res);
    if (stream === undefined) {
      res.writeHead(answer.status, answer.headers as string[]);
      res.end(answer.body);
    } else {
      const upload = !stream.endAfterHeaders;
      // What is sent past it is to be read off it all the same.
      res.statusCode = answer.status;
      if (upload) endUpload(req, res);
      // The end of a body is told once its headers have left, however full the connection is; only then it may be reset.
      respondOn(stream, answer, upload && req.method !== 'HEAD');
    }
  }

  /** Whoever cannot say is asked again in order, where it costs that call and no other. */
  private answerTo(req: IncomingMessage): RejectAnswer | undefined {
    const { reader, source } = this;
    const { refuser } = source;
    try {
      if (reader.exempt(req)) return undefined;
      const now = source.clock.now();
      const ask = reader.ask(req);
      if (!refuser.refuseEarly(now, ask)) return undefined;
      const { code } = refuser;
      this.tell(code, ask);
      const trusted = source.headers !== undefined && reader.trusts(req);
      return this.answers.answerTo({ code, trusted, keepAliveMs: keepAliveMsOf(req) }, now, () => ({
        retryAfterMs: refuser.retryAfterMs?.(now, ask),
        headers: this.headersFor(trusted),
        wallMs: source.clock.wallMs(),
      }));
    } catch {
      return undefined;
    }
  }

  private headersFor(trusted: boolean): Readonly<Record<string, string>> | undefined {
    try {
      return this.source.headers?.(trusted);
    } catch {
      return undefined;
    }
  }

  private tell(code: RejectionCode, refused: RefusedRequest): void {
    try {
      this.source.onReject?.(code, refused);
    } catch {
      // It only listens.
    }
  }
}
