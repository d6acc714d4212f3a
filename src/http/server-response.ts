import type { IncomingMessage, ServerResponse } from 'node:http';

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

/** Whether all of it went out. Asked when it is closed. */
export function wentOut(res: ServerResponse): boolean {
  // An HTTP/2 response that was aborted counts as finished too, but nobody ended it.
  return res.writableEnded && res.writableFinished;
}

/** Ends a request that is not all there once its response went out: whoever reads it would wait for ever. */
export function endUpload(req: IncomingMessage, res: ServerResponse): void {
  const stream = streamOf(res);
  if (stream) stream.once('finish', () => stream.close(noError));
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

/** Runs a function when the status line is written, by whichever of the many ways there are. */
export function whenHeadWritten(res: ServerResponse, run: () => void): void {
  // Node tells nobody, and all its ways end in this method.
  const writeHead = res.writeHead as (...args: unknown[]) => ServerResponse;
  res.writeHead = function (this: ServerResponse, ...args: unknown[]): ServerResponse {
    const result = writeHead.apply(this, args);
    run();
    return result;
  } as ServerResponse['writeHead'];
}

const chained = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'writeHead'] as const;
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
