import { countsRatesOnly, type Gate } from '../core/gate.js';
import { inNameOf } from '../core/in-name-of.js';
import { wrongKind } from '../core/options.js';
import type { DispatchQueueOptions } from '../limiter/dispatch-options.js';
import { type DispatchQueue, dispatchQueue } from '../limiter/dispatch-queue.js';
import type { RefusalListener } from '../limiter/dispatch-refusals.js';
import { checkNoGate, isQueue } from './policy-checks.js';

/** What is said of the queue of a server: how one is to be made, one that is made, or that there is none. */
export type QueueChoice = DispatchQueueOptions | DispatchQueue | false;

/**
 * The queue that was chosen.
 *
 * @param owner - whose option it is, for messages: `serverStack`
 * @param make - makes one by options
 * @throws TypeError or RangeError for what is no choice
 */
export function chosenQueue(
  owner: string,
  queue: QueueChoice | undefined,
  make: (options: DispatchQueueOptions) => DispatchQueue,
): DispatchQueue | undefined {
  if (queue === undefined || queue === false) return undefined;
  if (isQueue(queue)) return queue;
  checkNoGate(`${owner}.queue`, 'limits', queue);
  if (typeof queue !== 'object' || queue === null || Array.isArray(queue))
    throw wrongKind(`${owner}.queue`, 'options, a dispatchQueue() or false', queue);
  return inNameOf({ dispatchQueue: `${owner}.queue` }, () => make(queue));
}

/** What the queues of an app tell, and whom. */
export interface ServerQueuesParts {
  /** What an option that is not given is. */
  readonly defaults: DispatchQueueOptions;
  /** Told of what they refuse, besides the user's own hooks. */
  readonly listener: RefusalListener;
  /** Told of each queue that is made or given, once. */
  readonly watch: (queue: DispatchQueue) => void;
}

/** The queues of an app's servers. */
export class ServerQueues {
  private usual: DispatchQueue | undefined = undefined;
  /** Those that are known, each with what ends listening to it. */
  private readonly known = new Map<DispatchQueue, () => void>();

  constructor(private readonly parts: ServerQueuesParts) {}

  /**
   * The queue of one server: its own, or of one that names none the app's, which is one for all. Limits of calls under way
   * stand for that: before a queue they let in whoever comes first, and it would have nobody left to choose among.
   *
   * @param owner - whose option it is, for messages
   * @param limits - those of the server
   */
  of(owner: string, queue: QueueChoice | undefined, limits: readonly Gate[] = []): DispatchQueue | undefined {
    if (queue === undefined) {
      if (!limits.every(countsRatesOnly)) return undefined;
      this.usual ??= this.watched(this.make({}));
      return this.usual;
    }
    const own = chosenQueue(owner, queue, (options) => this.make(options));
    return own && this.watched(own);
  }

  /** Leaves them alone: one that was given may outlive the app. */
  close(): void {
    for (const deafen of this.known.values()) deafen();
    this.known.clear();
  }

  private make(options: DispatchQueueOptions): DispatchQueue {
    return dispatchQueue({ ...this.parts.defaults, ...options });
  }

  private watched(queue: DispatchQueue): DispatchQueue {
    if (this.known.has(queue)) return queue;
    this.known.set(queue, queue.listen(this.parts.listener));
    this.parts.watch(queue);
    return queue;
  }
}
