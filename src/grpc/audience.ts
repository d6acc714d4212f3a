import { type InterceptingListener, status } from '@grpc/grpc-js';
import type { GrpcAnswer } from './grpc-answer.js';

const collected = new FinalizationRegistry<GrpcAnswer>((answer) => {
  answer.cancel(status.CANCELLED, 'Cancelled on client: nobody reads the stream');
});

/**
 * Whoever listens to a stream. It is held while a message is on its way to it; in between only its reader holds it: a
 * reader that stopped and was forgotten (`break` out of `for await`, for example, which grpc-js does not take for a cancel)
 * is collected, and the stream ended, which else would stay open with its connection for ever.
 */
export class Audience {
  /** Whether anybody ever came. */
  open = false;
  private held: InterceptingListener | undefined = undefined;
  private known: WeakRef<InterceptingListener> | undefined = undefined;
  /** Whether it asks for message after message. Who waits for one asks once, in the beginning. */
  private asks = false;

  constructor(private readonly answer: GrpcAnswer) {}

  /** Whoever listens now. */
  get listener(): InterceptingListener | undefined {
    return this.held ?? this.known?.deref();
  }

  /** @param waits - whether it waits for something, and is to be held for that time */
  admit(listener: InterceptingListener, waits: boolean): void {
    this.open = true;
    this.known = new WeakRef(listener);
    collected.register(listener, this.answer, this);
    if (waits) this.held = listener;
  }

  /** It asked for a message. */
  await(): void {
    this.asks = true;
    this.held = this.listener;
  }

  /** The listener that is given a message: from then on its reader holds it, until it asks for another. */
  take(): InterceptingListener | undefined {
    const { listener } = this;
    if (this.asks) this.held = undefined;
    return listener;
  }

  /** There will be nothing more. */
  close(): InterceptingListener | undefined {
    const { listener } = this;
    this.held = undefined;
    this.known = undefined;
    collected.unregister(this);
    return listener;
  }
}
