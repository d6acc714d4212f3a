import type { Clock } from '../core/clock.js';
import type { EncodingName } from './encoding.js';
import { plainText } from './plain-text.js';
import type { Answer, Consignment, Sender } from './sender.js';

/** Who hears what a collector has to say. */
export interface Advised {
  /** What it takes, in the plural. */
  readonly what: string;
  readonly clock: Clock;
  /** Least time between two lines; milliseconds. */
  readonly intervalMs: number;
  /** Takes a line. */
  readonly warn: (message: string) => void;
}

class AdvisedSender implements Sender {
  private toldAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly sender: Sender,
    private readonly advised: Advised,
  ) {}

  get wantsGzip(): boolean {
    return this.sender.wantsGzip;
  }

  carries(encoding: EncodingName): boolean {
    return this.sender.carries(encoding);
  }

  async send(consignment: Consignment, signal: AbortSignal): Promise<Answer> {
    const answer = await this.sender.send(consignment, signal);
    // What came with a loss is told with it.
    if (answer.kind === 'taken' && !(answer.rejected > 0)) this.tell(answer.message);
    return answer;
  }

  letGo(): void {
    this.sender.letGo?.();
  }

  close(): void {
    this.sender.close();
  }

  private tell(message: string): void {
    const { what, clock, intervalMs, warn } = this.advised;
    if (message === '' || Math.abs(clock.now() - this.toldAt) < intervalMs) return;
    this.toldAt = clock.now();
    try {
      warn(`keelson: the collector took ${what} and said: ${plainText(message)}`);
    } catch {
      // Whoever prints must not break what sends.
    }
  }
}

/**
 * Passes on what a collector says of data that it has taken, once an interval: a warning, or what shows that it is none. A page
 * behind a wrong URL answers 200 too, and all spans would go there in silence.
 */
export function advisedSender(sender: Sender, advised: Advised): Sender {
  return new AdvisedSender(sender, advised);
}
