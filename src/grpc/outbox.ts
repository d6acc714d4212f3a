import type { MessageContext, WireCall } from './wire-call.js';

/** One message on its way out. */
interface Item {
  readonly message: Buffer;
  readonly flags: number | undefined;
  /** Whom to tell that it was taken: a stream writes its next message then. */
  taken: (() => void) | undefined;
}

/**
 * What a call sends. While it may have to be sent again, and is small enough, all of it is kept; afterwards only what no
 * attempt has taken yet, which is one message: a stream waits for each to be taken.
 */
export class Outbox {
  private readonly items: Item[] = [];
  /** How many are gone from the front. */
  private gone = 0;
  private bytes = 0;
  private keeps = true;
  private over = false;
  private feed: Feed | undefined;
  /** Whether the caller has said its last word. */
  closed = false;

  /** @param limitBytes - most that is kept for being sent again */
  constructor(private readonly limitBytes: number) {}

  /** Messages so far. */
  get count(): number {
    return this.gone + this.items.length;
  }
  /** Whether all of it is still here. */
  get intact(): boolean {
    return this.keeps;
  }
  /** Whether it is one message and there will be no more. */
  get whole(): boolean {
    return this.closed && this.count === 1;
  }

  push({ callback, flags }: MessageContext, message: Buffer): void {
    const taken = callback && ((): void => callback());
    if (this.over) {
      if (taken !== undefined) process.nextTick(taken);
      return;
    }
    this.items.push({ message, flags, taken });
    this.bytes += message.length;
    if (this.bytes > this.limitBytes) this.keeps = false;
    this.feed?.pump();
  }

  close(): void {
    this.closed = true;
    this.feed?.pump();
  }

  at(index: number): Item | undefined {
    return this.items[index - this.gone];
  }

  /** Lets one attempt send, from the first message on. */
  feedTo(call: WireCall): Feed {
    this.feed = new Feed(this, call);
    return this.feed;
  }

  /** There will be no other attempt than this one: nothing that it has taken is needed again. */
  commit(feed: Feed): void {
    this.keeps = false;
    this.feed = feed;
    this.trim(feed.next);
  }

  /** Forgets what lies before a message, if it need not be kept. */
  trim(next: number): void {
    if (this.keeps) return;
    this.items.splice(0, next - this.gone);
    this.gone = Math.max(this.gone, next);
  }

  /** The call is over. Whoever still waits for a message to be taken goes on, as with a call of grpc-js' own. */
  end(): void {
    this.over = true;
    this.feed = undefined;
    for (const item of this.items.splice(0)) {
      const { taken } = item;
      item.taken = undefined;
      if (taken !== undefined) process.nextTick(taken);
    }
  }
}

/** Sends what is in an {@link Outbox} to one attempt, a message at a time: grpc-js holds no more than one before it is connected. */
export class Feed {
  /** Number of the message to be sent next. */
  next = 0;
  private busy = false;
  private closed = false;

  constructor(
    private readonly outbox: Outbox,
    private readonly call: WireCall,
  ) {}

  pump(): void {
    if (this.closed) return;
    const item = this.busy ? undefined : this.outbox.at(this.next);
    if (item !== undefined) this.send(item);
    if (!this.outbox.closed || this.next < this.outbox.count) return;
    // Behind a single message at once, so that both go out together. Of several the last has to be taken first: before 1.14
    // a message is told to be taken while it is sent, and a close behind the next one would overtake that.
    if (this.busy && this.next > 1) return;
    this.closed = true;
    this.call.halfClose();
  }

  /** The attempt is over: another may be sending by now. */
  stop(): void {
    this.closed = true;
  }

  private send(item: Item): void {
    const { message, flags } = item;
    this.busy = true;
    this.next++;
    const callback = (): void => {
      const { taken } = item;
      item.taken = undefined;
      this.busy = false;
      taken?.();
      this.pump();
    };
    this.call.sendMessageWithContext(flags === undefined ? { callback } : { callback, flags }, message);
    this.outbox.trim(this.next);
  }
}
