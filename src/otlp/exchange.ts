import type { Clock } from '../core/clock.js';
import { quietly } from './quietly.js';
import type { Answer, Consignment, Sender } from './sender.js';

/** What {@link Exchange} needs. */
export interface ExchangeInit {
  readonly sender: Sender;
  readonly clock: Clock;
  /** How long an answer may take; milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Requests to a collector, each with an end: what hangs is given up. All that they take, the user's own headers too, makes no
 * spans: those would have to be sent in their turn.
 */
export class Exchange {
  private readonly open = new Set<() => void>();
  private over = false;
  private asked = 0;
  private failed = 0;
  private sentBytes = 0;
  private totalMs = 0;

  constructor(private readonly init: ExchangeInit) {}

  /** Plain numbers of what was done. */
  get stats() {
    const { asked, failed, sentBytes, totalMs } = this;
    return { requests: asked, failedRequests: failed, requestBytes: sentBytes, requestMs: totalMs };
  }

  /** Sends once; never rejects. */
  async send(consignment: Consignment): Promise<Answer> {
    const { clock } = this.init;
    const began = clock.now();
    this.asked++;
    const answer = await this.within(consignment);
    this.totalMs += Math.max(0, clock.now() - began);
    if (answer.kind === 'taken') this.sentBytes += consignment.body.length;
    else this.failed++;
    return answer;
  }

  /** Gives up all that is under way, and whatever comes. */
  abort(): void {
    this.over = true;
    for (const end of [...this.open]) end();
  }

  private within(consignment: Consignment): Promise<Answer> {
    const { sender, clock, timeoutMs } = this.init;
    if (this.over) return Promise.resolve({ kind: 'later', why: 'the end of the process' });
    return new Promise((resolve) => {
      const control = new AbortController();
      const settle = (answer: Answer): void => {
        timer.cancel();
        this.open.delete(giveUp);
        resolve(answer);
      };
      const stop = (why: string): void => {
        settle({ kind: 'later', why });
        control.abort();
      };
      const giveUp = (): void => stop('the end of the process');
      const timer = clock.after(timeoutMs, () => stop(`no answer within ${timeoutMs} ms`));
      this.open.add(giveUp);
      quietly(() => sender.send(consignment, control.signal)).then(settle, (error: unknown) =>
        stop(String(error)),
      );
    });
  }
}
