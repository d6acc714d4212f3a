import { Readable } from 'node:stream';
import type { BodyHold } from '../http/body-end.js';

/** What a source knows of its reader: weakly, but for the time in which that waits for data, since then somebody reads. */
interface Link {
  waiting: BodyStream | undefined;
  readonly reader: WeakRef<BodyStream>;
}

function listen(source: Readable, link: Link): void {
  const reader = (): BodyStream | undefined => link.waiting ?? link.reader.deref();
  source.on('readable', () => link.waiting?.pull());
  source.once('end', () => reader()?.ended());
  source.on('error', (error) => reader()?.broken(error));
  source.once('close', () => {
    // What was passed on may still be on its way to the reader.
    if (!source.readableEnded) reader()?.destroy();
  });
}

/**
 * Passes a body on and notes how it ends. The stream of a response hangs on its socket, so the garbage collector would
 * never find one that its reader has forgotten; it finds this one.
 */
class BodyStream extends Readable {
  private readonly link: Link;

  constructor(
    private readonly source: Readable,
    private readonly hold: BodyHold,
  ) {
    super({ objectMode: source.readableObjectMode, highWaterMark: source.readableHighWaterMark });
    this.link = { waiting: undefined, reader: new WeakRef(this) };
    listen(source, this.link);
  }

  override _read(): void {
    this.pull();
  }

  pull(): void {
    const { source, link } = this;
    link.waiting = undefined;
    for (let chunk: unknown = source.read(); chunk !== null; chunk = source.read()) {
      if (!this.push(chunk)) return;
    }
    link.waiting = this;
  }

  ended(): void {
    this.link.waiting = undefined;
    this.hold.complete();
    this.push(null);
  }

  broken(error: Error): void {
    this.hold.fail(error);
    this.destroy(error);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.link.waiting = undefined;
    this.hold.drop();
    if (!this.source.readableEnded) this.source.destroy();
    done(error);
  }
}

/**
 * Makes a stream of the same bytes that tells a hold how it ended.
 *
 * @param source - read by nobody else from now on
 * @param hold - told once: complete, failed or dropped
 */
export function bodyStream(source: Readable, hold: BodyHold): Readable {
  hold.end.listen((outcome) => {
    if (outcome === 'ignored' && !source.readableEnded) source.destroy();
  });
  return new BodyStream(source, hold);
}
