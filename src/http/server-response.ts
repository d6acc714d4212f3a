import type { IncomingMessage, ServerResponse } from 'node:http';
import { shedHeader } from '../core/refusal-reply.js';
import { loadHeader } from './load-header.js';
import type { Pairs } from './load-teller.js';

/** What a response of `node:http2` has besides, in the form that it gives to listeners written for `node:http`. */
interface OverHttp2 {
  readonly stream?: {
    readonly destroyed: boolean;
    close(code: number): void;
    once(event: 'finish', run: () => void): void;
  };
}

const streamOf = (res: ServerResponse): OverHttp2['stream'] => (res as OverHttp2).stream;

/** Whether nothing can be sent any more. */
export function isOver(res: ServerResponse): boolean {
  return res.closed || res.destroyed || streamOf(res)?.destroyed === true;
}

const left = new WeakSet<ServerResponse>();

/** Notes how a response stands when it closes: a handler that answers later has no client, whatever Node makes of it. */
export function noteClose(res: ServerResponse): void {
  if (!wentOut(res)) left.add(res);
}

/** Whether all of it went out. Asked when it is closed. */
export function wentOut(res: ServerResponse): boolean {
  // An HTTP/2 response that was aborted counts as finished too, but nobody ended it.
  return res.writableEnded && res.writableFinished && !left.has(res);
}

/** Ends a request that is not all there once its response went out: whoever reads it would wait for ever. */
export function endUpload(req: IncomingMessage, res: ServerResponse): void {
  const stream = streamOf(res);
  // Not at once: a reset that overtakes the headers in Node's own queue makes it drop them.
  if (stream) stream.once('finish', () => setImmediate(() => stream.close(noError)));
  else res.once('close', () => req.destroy());
}

const broken = new WeakSet<ServerResponse>();
/** `NO_ERROR`, RFC 9113, 7: the answer is complete, the rest of the request is not wanted (8.1). */
const noError = 0;
/** `INTERNAL_ERROR`, RFC 9113, 7: a stream that is only destroyed looks to its client as if it had ended well. */
const internalError = 2;

/** Cuts a response that has begun and cannot be completed, so that its client does not take half a body for a whole one. */
export function breakOff(res: ServerResponse): void {
  broken.add(res);
  const stream = streamOf(res);
  if (stream) stream.close(internalError);
  else res.destroy();
}

/** Whether this side cut it. */
export function wasBrokenOff(res: ServerResponse): boolean {
  return broken.has(res);
}

/** In place of `destroy`; one function for all responses, so that none of them costs a closure. */
function destroyNoted(this: ServerResponse, error?: Error): ServerResponse {
  // Once the client has gone everybody destroys what is left.
  const connected = this.socket?.destroyed === false;
  if (connected && !this.writableEnded && !isOver(this)) broken.add(this);
  return (Object.getPrototypeOf(this) as ServerResponse).destroy.call(this, error) as ServerResponse;
}

/** Notes when this side cuts a response, as frameworks and pipelines do when a stream breaks that they were sending. */
export function noteDestroy(res: ServerResponse): void {
  // Somebody else's own stays where it is.
  if (!Object.hasOwn(res, 'destroy')) res.destroy = destroyNoted;
}

/** Whether a name is that of a header, in whatever case. */
function isNamed(name: unknown, wanted: string): boolean {
  return typeof name === 'string' && name.length === wanted.length && name.toLowerCase() === wanted;
}

const isLoad = (name: unknown): boolean => isNamed(name, loadHeader);

/** Headers as pairs, or as names and values in turn, without what is said of a load; the same list if it says nothing. */
function listWithoutLoad(list: readonly unknown[]): readonly unknown[] {
  if (Array.isArray(list[0])) {
    const pairs = list as readonly (readonly unknown[])[];
    return pairs.some(([name]) => isLoad(name)) ? pairs.filter(([name]) => !isLoad(name)) : list;
  }
  if (!list.some((name, at) => at % 2 === 0 && isLoad(name))) return list;
  return list.filter((_, at) => !isLoad(list[at - (at % 2)]));
}

/** The same of a record. */
function recordWithoutLoad(record: object): object {
  for (const name in record) {
    if (isLoad(name)) return Object.fromEntries(Object.entries(record).filter(([other]) => !isLoad(other)));
  }
  return record;
}

/** Whether headers that are given with the status name one. */
function areNaming(headers: object, wanted: string): boolean {
  if (!Array.isArray(headers)) return Object.keys(headers).some((name) => isNamed(name, wanted));
  const list: readonly unknown[] = headers;
  if (!Array.isArray(list[0])) return list.some((name, at) => at % 2 === 0 && isNamed(name, wanted));
  return (list as readonly (readonly unknown[])[]).some(([name]) => isNamed(name, wanted));
}

/**
 * Adds headers to the arguments of `writeHead`, or to the response, but for those that the application gives itself. Of its
 * load, though, what is said is a callee's, copied with the rest of its answer, and goes also if nothing takes its place,
 * which is a header without a value.
 */
function addHeaders(res: ServerResponse, args: unknown[], given: Pairs): void {
  if (given.length === 0) return;
  const strips = given[0]?.[0] === loadHeader;
  if (strips && res.hasHeader(loadHeader)) res.removeHeader(loadHeader);
  const last = args.at(-1);
  if (Array.isArray(last)) {
    const own = strips ? listWithoutLoad(last) : last;
    const added = given.filter((pair) => isToBeSent(res, own, pair));
    // As pairs or flat: next to a header that was set Node takes no pairs any more.
    args[args.length - 1] = [...own, ...(Array.isArray(last[0]) ? added : added.flat())];
  } else if (typeof last === 'object' && last !== null) {
    const own = strips ? recordWithoutLoad(last) : last;
    // Not by `...`: V8 takes twenty times as long for a copy of that kind to which something is added.
    const headers = Object.assign({} as Record<string, unknown>, own);
    for (const pair of given) if (isToBeSent(res, own, pair)) headers[pair[0]] = pair[1];
    args[args.length - 1] = headers;
  } else {
    for (const [name, value] of given)
      if (value !== undefined && !res.hasHeader(name)) res.setHeader(name, value);
  }
}

/** Whether it is neither among the headers that were set nor among those that are given with the status. */
function isToBeSent(res: ServerResponse, own: object, [name, value]: Pairs[number]): boolean {
  if (value === undefined || res.hasHeader(name)) return false;
  // What was said of the load has gone from there.
  return name === loadHeader || !areNaming(own, name);
}

/**
 * Runs a function when the status line is written, by whichever of the many ways there are. It gets the last argument.
 *
 * @param more - further headers, asked for right before by the status
 */
export function whenHeadWritten(
  res: ServerResponse,
  run: (headers: unknown) => void,
  more?: (status: number) => Pairs,
): void {
  // Node tells nobody, and all its ways end in this method.
  const writeHead = res.writeHead as (...args: unknown[]) => ServerResponse;
  res.writeHead = function (this: ServerResponse, ...args: unknown[]): ServerResponse {
    if (more !== undefined && !this.headersSent) {
      const [status] = args;
      addHeaders(this, args, more(typeof status === 'number' ? status : this.statusCode));
    }
    const result = writeHead.apply(this, args);
    run(args.at(-1));
    return result;
  } as ServerResponse['writeHead'];
}

const shed = new WeakSet<ServerResponse>();

/** Notes a refusal among the headers that are written at once with the status: Node forgets them. */
export function noteShed(res: ServerResponse, headers: unknown): void {
  if (res.statusCode !== 503 || typeof headers !== 'object' || headers === null) return;
  // A list has names and values in turn.
  const names: readonly unknown[] = Array.isArray(headers) ? headers.flat() : Object.keys(headers);
  if (names.some((name) => String(name).toLowerCase() === shedHeader)) shed.add(res);
}

/** Whether a response with status 503 is a refusal, in contrast to a failure. */
export function wasShed(res: ServerResponse): boolean {
  return res.hasHeader(shedHeader) || shed.has(res);
}

const chained = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'writeHead', 'destroy'] as const;
const silent = [
  'flushHeaders',
  'writeContinue',
  'writeProcessing',
  'writeEarlyHints',
  'addTrailers',
] as const;

function callBack(args: readonly unknown[]): void {
  const last = args.at(-1);
  if (typeof last === 'function') queueMicrotask(() => last());
}

/**
 * Makes a response deaf that was answered on behalf of its handler. The handler may go on, know nothing of it and answer
 * late: Node would throw, and out of a callback that ends the process.
 */
export function dropLateAnswer(res: ServerResponse): void {
  const deaf = res as unknown as Record<string, unknown>;
  const { statusCode } = res;
  // What is told of the call at its end is the status that went out.
  Object.defineProperty(res, 'statusCode', {
    configurable: true,
    enumerable: true,
    get: () => statusCode,
    set: () => undefined,
  });
  for (const name of chained) if (typeof deaf[name] === 'function') deaf[name] = () => res;
  for (const name of silent) if (typeof deaf[name] === 'function') deaf[name] = () => undefined;
  deaf['write'] = (...args: unknown[]) => {
    callBack(args);
    // Whoever heeds this waits for `drain`, until the response is closed.
    return false;
  };
  deaf['end'] = (...args: unknown[]) => {
    callBack(args);
    return res;
  };
}

const cutting: ReadonlySet<unknown> = new Set(['destroy', 'destroySoon', 'end', 'resetAndDestroy']);

/**
 * Takes from a request that was answered on behalf of its handler the means to cut its connection, which may carry the
 * next request by now. Express cuts it when an error comes after the answer.
 */
export function spareConnection(req: IncomingMessage): void {
  // Each stream of HTTP/2 has its own; and the rest of a request that is not all there is read through the socket.
  if (req.httpVersionMajor !== 1 || !req.complete) return;
  const spared: unknown = new Proxy(req.socket, {
    get: (socket, name) => {
      if (cutting.has(name)) return () => spared;
      const value: unknown = Reflect.get(socket, name);
      return typeof value === 'function' ? value.bind(socket) : value;
    },
  });
  Object.defineProperty(req, 'socket', { configurable: true, writable: true, value: spared });
}
