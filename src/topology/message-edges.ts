import type { Outcome } from '../core/outcome.js';
import { unknownService } from './edge.js';
import { type EdgeShelf, NamedShelves } from './edge-shelf.js';
import type { EdgeTable } from './edge-table.js';

/** A message that was sent or processed: what waits in a queue between two services. */
export interface EdgeMessage {
  /** Where it waits: the name of a queue, topic or job type; of low cardinality. */
  readonly destination: string;
  /** Who sent it, of one that is processed, if its token says so. No effect on one that is sent: nobody knows who will take it. */
  readonly producer?: string | undefined;
  /** What is done with it. Left out: `send` and `process`. */
  readonly operation?: string | undefined;
  /** How long that took; milliseconds. Left out: no time. */
  readonly durationMs?: number | undefined;
  /** How it ended. Left out: well. */
  readonly outcome?: Outcome | undefined;
  /** Its size. */
  readonly bytes?: number | undefined;
}

/** Letters, digits and what else names of queues have: what came in a token may be anything. */
const plausible = /^[^\p{C}]{1,256}$/u;
const named = (name: unknown): string =>
  typeof name === 'string' && plausible.test(name) ? name : unknownService;

/** Apart from whatever can be in a name. */
const divider = '\n';

/** The edges of messages: from a producer to a destination, and from there to a consumer. */
export class MessageEdges {
  private readonly sends: NamedShelves;
  private readonly processes: NamedShelves;

  constructor(table: EdgeTable, service: string) {
    this.sends = new NamedShelves(table, (destination) => ({
      side: 'producer',
      caller: service,
      callee: unknownService,
      destination,
    }));
    this.processes = new NamedShelves(table, (key) => {
      const [destination, caller = unknownService] = key.split(divider);
      return { side: 'consumer', caller, callee: service, destination };
    });
  }

  sent(message: EdgeMessage, now: number): void {
    count(this.sends.of(named(message.destination)), 'send', { message, now });
  }

  processed(message: EdgeMessage, now: number): void {
    const key = `${named(message.destination)}${divider}${named(message.producer)}`;
    count(this.processes.of(key), 'process', { message, now });
  }
}

interface Occurrence {
  readonly message: EdgeMessage;
  readonly now: number;
}

function count(shelf: EdgeShelf, usual: string, { message, now }: Occurrence): void {
  const { operation = usual, durationMs = 0, outcome = 'success', bytes } = message;
  const counts = shelf.of(named(operation), now).at(now);
  counts.add(durationMs > 0 ? durationMs : 0, 1);
  if (outcome !== 'success') counts.note(outcome, '-');
  counts.noteRequestBytes(bytes);
}
