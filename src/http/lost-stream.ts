import type { ServerResponse } from 'node:http';
import { systemClock } from '../core/clock.js';

/** What of a stream of HTTP/2 is looked at. */
interface Stream {
  readonly closed: boolean;
  readonly writableFinished: boolean;
  destroy(): void;
}

/** Time between two looks at all open streams; milliseconds. */
const lookMs = 1000;

/** Open streams, and whether one was lost at the last look. */
const open = new Map<Stream, boolean>();
let looking = false;

/** Twice, for a response may be on its way to the socket at the moment of one look. */
function look(): void {
  for (const [stream, before] of open) {
    const lost = stream.closed && !stream.writableFinished;
    if (lost && before) stream.destroy();
    else open.set(stream, lost);
  }
  looking = open.size > 0;
  if (looking) systemClock.after(lookMs, look);
}

/**
 * Has a response of HTTP/2 closed when its client resets the stream with `NO_ERROR` while part of it waits to be sent. Node
 * before 26 tells nobody of that: without this its call would be in flight for as long as the connection lives.
 */
export function closeWithStream(res: ServerResponse): void {
  const { stream } = res as { readonly stream?: Stream };
  if (stream === undefined) return;
  open.set(stream, false);
  res.once('close', () => open.delete(stream));
  if (looking) return;
  looking = true;
  systemClock.after(lookMs, look);
}
