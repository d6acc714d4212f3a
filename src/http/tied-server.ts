import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Call } from '../core/call.js';
import type { CancelSource } from '../core/cancel.js';
import type { Clock } from '../core/clock.js';
import { type GovernanceError, refusal } from '../core/errors.js';
import { nextNotice, startNotice } from '../core/start-notice.js';
import { parseTied, type TiedMark, type TiedState, tiedHeader } from '../core/tied-copy.js';
import { WheelEntry, wheelOf } from '../core/timer-wheel.js';
import { callKey } from '../core/values.js';
import { type HttpExchange, whenClosed } from './exchange.js';
import { replyWithError } from './reply.js';
import { isOver, wentOut } from './server-response.js';
import { claimPath, tiedAskHeader, tiedPath } from './tied-path.js';
import { type ServedCopy, TiedTable } from './tied-table.js';

/** How long a copy waits to be let, in milliseconds. Its sender has then lost the way here; until then it holds a place. */
const parkedMs = 1000;

const claimPrefix = `${claimPath}/`;

/** What a copy that has to be let waits for before its handler may run; most calls have none. */
const permission = callKey<(call: Call) => Promise<void>>('keelson.tied.permission');

/** Waits until a call may start, if it has to wait. */
export function permitted(call: Call): Promise<void> | undefined {
  return call.values.get(permission)?.(call);
}

class Parked extends WheelEntry {
  constructor(
    at: number,
    private readonly copy: ServedCopy,
  ) {
    super(at);
  }
  fire(): void {
    this.copy.expire();
  }
}

function markOf({ headers }: IncomingMessage): TiedMark | undefined {
  const text = headers[tiedHeader];
  return typeof text === 'string' ? parseTied(text) : undefined;
}

/** What answers a copy that does not run here. */
function turnedAway({ service, operation }: Call, state: TiedState): GovernanceError {
  const answer = { headers: { [tiedHeader]: state } };
  return refusal('CANCELLED', `${service} ${operation}: ${state}, for it is one of two copies`, {
    service,
    side: 'server',
    answer,
  });
}

interface Stream {
  additionalHeaders(headers: Record<string, number>): void;
}

/** Tells that a start is near by `102 Processing` (RFC 2518, 10.1), which nobody has to understand. HTTP/1.0 knows nothing of its kind. */
function writeNotice(req: IncomingMessage, res: ServerResponse): void {
  if (res.headersSent || isOver(res)) return;
  const { stream } = res as { readonly stream?: Stream };
  if (stream !== undefined) stream.additionalHeaders({ ':status': 102 });
  else if (req.httpVersion === '1.1') res.writeProcessing();
}

/** The tied copies that come to one listener. Only peers that are trusted are heard. */
export class TiedServer {
  private readonly table = new TiedTable();

  constructor(
    private readonly trusts: (req: IncomingMessage) => boolean,
    private readonly clock: Clock,
  ) {}

  /** Whether a request asks about a copy. */
  matches(req: IncomingMessage): boolean {
    return req.url === tiedPath && req.method === 'POST' && this.trusts(req);
  }

  /** Answers such a request, before limits and telemetry: it costs a look into a table. */
  answer(req: IncomingMessage, res: ServerResponse): void {
    const state = this.asked(req);
    res.writeHead(state === 'unknown' ? 404 : 200, { [tiedHeader]: state, 'content-length': '0' });
    res.end();
  }

  /** Gives a copy that has to be let the path that it is meant for. */
  unwrap(req: IncomingMessage): void {
    const { url } = req;
    if (url?.startsWith(claimPrefix) && this.trusts(req) && markOf(req)?.mode === 'claim')
      req.url = url.slice(claimPath.length);
  }

  /**
   * Takes a request of a trusted peer that may be marked as a copy.
   *
   * @param cancel - of the call; aborted when the copy is taken back
   * @returns `false` when the other copy, or this one, was here before: it is answered
   */
  enter(exchange: HttpExchange, call: Call, cancel: CancelSource): boolean {
    const { req, res } = exchange;
    const mark = markOf(req);
    if (mark === undefined) return true;
    // It is this server's. A handler that passes all headers on would have its own callees dedupe its tries, and wait for leave.
    delete req.headers[tiedHeader];
    const copy = this.table.enter(mark, this.clock.now(), (state) => cancel.abort(turnedAway(call, state)));
    if (typeof copy === 'string') {
      replyWithError(exchange, turnedAway(call, copy));
      return false;
    }
    whenClosed(exchange, () => copy.close(wentOut(res)));
    const claims = mark.mode === 'claim';
    let told = false;
    const tell = (): void => {
      if (told) return;
      told = true;
      copy.ask();
      writeNotice(req, res);
    };
    call.values.set(nextNotice, tell);
    call.values.set(startNotice, () => {
      if (claims || copy.start()) tell();
    });
    if (claims) call.values.set(permission, (held) => this.park(copy, held));
    return true;
  }

  private park(copy: ServedCopy, call: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      const parked = new Parked(this.clock.now() + parkedMs, copy);
      const unhook = call.cancel.onAbort(() => {
        parked.cancel();
        reject(call.cancel.reason);
      });
      // Taken back before its turn: it was rejected just now.
      if (call.cancel.aborted) return;
      const granted = (): void => {
        parked.cancel();
        unhook();
        resolve();
      };
      if (copy.park(granted)) granted();
      else wheelOf(this.clock).add(parked);
    });
  }

  private asked(req: IncomingMessage): TiedState {
    const mark = markOf(req);
    const copy = mark && this.table.find(mark);
    if (copy === undefined) return 'unknown';
    if (copy === 'duplicate') return copy;
    const ask = req.headers[tiedAskHeader];
    if (ask === 'withdraw') return copy.withdraw();
    return ask === 'grant' ? copy.grant() : 'unknown';
  }
}
