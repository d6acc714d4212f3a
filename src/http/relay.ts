import type { UnderlyingByteSource } from 'node:stream/web';
import type { Clock } from '../core/clock.js';
import { GovernanceError } from '../core/errors.js';
import { WheelEntry, wheelOf } from '../core/timer-wheel.js';
import type { BodyHold } from './body-end.js';

/** How long a body may be silent while somebody waits for it. */
export interface BodyIdle {
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** Tells the time and waits. */
  readonly clock: Clock;
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

class Silence extends WheelEntry {
  constructor(
    at: number,
    private readonly broken: () => void,
  ) {
    super(at);
  }
  fire(): void {
    this.broken();
  }
}

const nothing = (): void => undefined;

/** Passes bytes on and notes how they end. Reads only when it is read from, so a slow reader is not taken for a silent server. */
class Relay implements UnderlyingByteSource {
  readonly type = 'bytes';
  private over = false;

  constructor(
    private readonly reader: Reader,
    private readonly hold: BodyHold,
    private readonly idle: BodyIdle | undefined,
  ) {}

  pull(controller: ReadableByteStreamController): Promise<undefined> {
    const silence = this.idle && this.watch(this.idle, controller);
    return this.reader.read().then(
      ({ done, value }) => {
        silence?.cancel();
        if (this.over) return undefined;
        // An empty chunk answers nobody, and a byte stream does not take one.
        if (value?.byteLength === 0) return this.pull(controller);
        if (done) this.close(controller);
        else controller.enqueue(value);
        return undefined;
      },
      (error: unknown) => {
        silence?.cancel();
        if (this.over) return undefined;
        this.hold.fail(error);
        throw error;
      },
    );
  }

  cancel(reason: unknown): Promise<void> {
    this.over = true;
    this.hold.drop();
    return this.reader.cancel(reason);
  }

  private close(controller: ReadableByteStreamController): void {
    this.hold.complete();
    controller.close();
    // A reader that brought its own buffer is answered with nothing in it.
    controller.byobRequest?.respond(0);
  }

  private watch({ clock, timeoutMs }: BodyIdle, controller: ReadableByteStreamController): Silence {
    const silence = new Silence(clock.now() + timeoutMs, () => {
      this.over = true;
      const error = new GovernanceError('BODY_IDLE', `the response body was silent for ${timeoutMs} ms`, {
        side: 'client',
      });
      this.hold.fail(error);
      controller.error(error);
      this.reader.cancel(error).catch(nothing);
    });
    wheelOf(clock).add(silence);
    return silence;
  }
}

/**
 * Makes a stream of the same bytes that tells a hold how it ended.
 *
 * @param source - locked from now on
 * @param hold - told once: complete, failed or dropped
 * @param idle - ends the body when it is silent for too long
 */
export function relay(
  source: ReadableStream<Uint8Array>,
  hold: BodyHold,
  idle: BodyIdle | undefined,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  // The platform lets go of a body that it finds abandoned, but not of one that has a reader, and ours is one for ever.
  hold.end.listen((outcome) => {
    if (outcome === 'ignored') reader.cancel().catch(nothing);
  });
  return new ReadableStream(new Relay(reader, hold, idle));
}
