import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { RejectionCode } from '../core/errors.js';
import type { Middleware } from '../core/handler.js';
import { aboutOption } from '../core/in-name-of.js';
import { resolveOptions, wrongKind } from '../core/options.js';
import { checkProtocol, type Protocol } from '../core/protocol.js';
import { flagOfRefusal } from '../core/response-flag.js';
import { type Edge, type EdgePeriod, unknownService } from './edge.js';
import { countingEdges, type MessageSizes } from './edge-call.js';
import { EdgeShelf, NamedShelves } from './edge-shelf.js';
import { EdgeTable } from './edge-table.js';
import { type EdgeMessage, MessageEdges } from './message-edges.js';

/** Options of {@link topology}. */
export interface TopologyOptions {
  /** Logical name of this service: one end of each of its edges. */
  readonly service: string;
  /**
   * Length of a window, in milliseconds; 100 or more. A larger value shows a calmer picture, later.
   *
   * @defaultValue `10_000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Most edges that are kept apart; a whole number, 1 to 100 000. One costs 3 to 25 KB, by how much the times of its calls
   * differ. The calls of all further edges are counted together, as `other`.
   *
   * @defaultValue `500`
   */
  readonly maxEdges?: number | undefined;
  /**
   * Told of the first call in each window. What it throws is dropped.
   *
   * @defaultValue none
   */
  readonly onWindow?: (() => void) | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link TopologyOptions}. */
export const topologyDefaults = {
  windowMs: 10_000,
  maxEdges: 500,
  /** Nobody is told. */
  onWindow: () => undefined,
  clock: systemClock,
} as const;

/** What is known of the calls of one client. */
export interface ClientEdgesOptions<Req, Res> {
  /** Logical name of the service that is called. */
  readonly callee: string;
  /** Tells how a call ended. */
  readonly protocol: Protocol<Req, Res>;
  /**
   * Who calls.
   *
   * @defaultValue the service of the topology
   */
  readonly caller?: string | undefined;
  /**
   * What is known of the size of messages.
   *
   * @defaultValue nothing
   */
  readonly sizes?: MessageSizes<Req, Res> | undefined;
  /**
   * Tells the time of the layers inside of it, on the scale of the topology's own.
   *
   * @defaultValue that of the topology
   */
  readonly clock?: Clock | undefined;
}

/** What is known of the calls of one server. */
export interface ServerEdgesOptions<Req, Res> {
  /** Tells how a call ended. */
  readonly protocol: Protocol<Req, Res>;
  /** Who calls, or `undefined` for one that did not say or is not believed: it bounds nothing, so let nobody invent names. */
  readonly callerOf: (call: Call) => string | undefined;
  /**
   * What is known of the size of messages.
   *
   * @defaultValue nothing
   */
  readonly sizes?: MessageSizes<Req, Res> | undefined;
  /**
   * Tells the time of the layers inside of it, on the scale of the topology's own.
   *
   * @defaultValue that of the topology
   */
  readonly clock?: Clock | undefined;
}

/** Who calls whom, as one process sees it. */
export interface Topology {
  /**
   * Counts the calls of a client. Its place is inside of the user's own middlewares, which may answer from elsewhere, and
   * outside of deadline, limits and retries: a call is one, and refusals are seen with their reasons.
   *
   * @throws TypeError for what is no protocol or no name
   */
  client<Req, Res>(options: ClientEdgesOptions<Req, Res>): Middleware<Req, Res>;
  /**
   * Counts the calls of a server. Its place is outside of deadline and limits, and inside of what turns refusals into
   * responses.
   *
   * @throws TypeError for what is no protocol
   */
  server<Req, Res>(options: ServerEdgesOptions<Req, Res>): Middleware<Req, Res>;
  /**
   * A request was refused before a call was made of it.
   *
   * @param operation - what was asked for; left out: nobody knows
   * @param caller - who sent it; left out: it did not say, or is not believed
   */
  refused(code: RejectionCode, operation?: string, caller?: string): void;
  /** A message was sent. */
  sent(message: EdgeMessage): void;
  /** A message was processed, well or not. */
  processed(message: EdgeMessage): void;
  /** The edges with calls in a period; the last whole window, unless told otherwise. */
  edges(period?: EdgePeriod): readonly Edge[];
  /**
   * The edges since the start as counters have to tell them: what an edge counted that has given way is gone with it, and
   * not in `other`, since whoever adds up increases has added it up already.
   */
  counters(): readonly Edge[];
}

interface Settings {
  readonly windowMs: number;
  readonly maxEdges: number;
  readonly onWindow: () => void;
  readonly clock: Clock;
}

class ProcessTopology implements Topology {
  private readonly table: EdgeTable;
  private readonly clients = new Map<string, EdgeShelf>();
  private readonly callers: NamedShelves;
  private readonly messages: MessageEdges;
  private readonly clock: Clock;

  constructor(
    private readonly service: string,
    { windowMs, maxEdges, onWindow, clock }: Settings,
  ) {
    this.clock = clock;
    const tell = (): void => {
      try {
        onWindow();
      } catch {
        // It is told out of somebody's call.
      }
    };
    const table = new EdgeTable({ service, windowMs, maxEdges, onWindow: tell });
    this.table = table;
    this.messages = new MessageEdges(table, service);
    this.callers = new NamedShelves(table, (caller) => ({
      side: 'server',
      caller,
      callee: service,
      destination: undefined,
    }));
  }

  client<Req, Res>(options: ClientEdgesOptions<Req, Res>): Middleware<Req, Res> {
    const { callee, protocol, caller = this.service, sizes, clock = this.clock } = options;
    const shelf = this.shelfTo(checkName('topology.client.callee', callee), caller);
    return countingEdges<Req, Res>({
      tallyOf: (call, now) => shelf.of(call.operation, now),
      protocol: checkProtocol('topology.client.protocol', protocol),
      clock,
      sizes,
    });
  }

  server<Req, Res>(options: ServerEdgesOptions<Req, Res>): Middleware<Req, Res> {
    const { protocol, callerOf, sizes, clock = this.clock } = options;
    if (typeof callerOf !== 'function') throw wrongKind('topology.server.callerOf', 'a function', callerOf);
    return countingEdges<Req, Res>({
      tallyOf: (call, now) => this.callers.of(callerOf(call) ?? unknownService).of(call.operation, now),
      protocol: checkProtocol('topology.server.protocol', protocol),
      clock,
      sizes,
    });
  }

  refused(code: RejectionCode, operation = unknownService, caller = unknownService): void {
    const now = this.clock.now();
    const counts = this.callers.of(caller).of(operation, now).at(now);
    counts.add(0, 1);
    counts.note('unsent', flagOfRefusal(code));
  }

  sent(message: EdgeMessage): void {
    this.messages.sent(message, this.clock.now());
  }

  processed(message: EdgeMessage): void {
    this.messages.processed(message, this.clock.now());
  }

  edges(period: EdgePeriod = 'last'): readonly Edge[] {
    return this.table.read(period, this.clock.now());
  }

  counters(): readonly Edge[] {
    return this.table.readOwn();
  }

  /** Clients of one service share its edges, however many there are. */
  private shelfTo(callee: string, caller: string): EdgeShelf {
    const key = JSON.stringify([caller, callee]);
    let shelf = this.clients.get(key);
    if (shelf === undefined) {
      shelf = new EdgeShelf(this.table, { side: 'client', caller, callee, destination: undefined });
      this.clients.set(key, shelf);
    }
    return shelf;
  }
}

function checkName(field: string, name: unknown): string {
  if (typeof name === 'string' && name !== '') return name;
  throw aboutOption(new TypeError(`${field} must be a name, got ${JSON.stringify(name)}`));
}

/**
 * Counts who calls whom, before any sampling: caller, callee and operation, how often, how long, how it ended. In windows
 * of ten seconds and since the start, in bounded memory, for `app.edges()` and for metrics.
 *
 * An app has one. Make one yourself for stacks without an app, and give it to all of them. It needs nothing of the other
 * side: a client knows whom it calls, and a server is told by a header who calls it.
 *
 * A call is measured to the head of its answer: a body that breaks off afterwards is no error here. Time is read where
 * it has been read anyway.
 *
 * @throws TypeError or RangeError for options out of range
 * @example
 * ```ts
 * const topo = topology({ service: 'orders' });
 * const users = clientStack({ service: 'users', resolver, wire, edges: topo });
 * for (const { caller, callee, operation, count } of topo.edges()) console.log(caller, callee, operation, count);
 * ```
 *
 * Source: the streaming topology of SkyWalking, where a segment names its caller, so that no spans have to be joined; and
 * the client-side statistics of dd-trace, sketches per ten seconds that are taken before sampling.
 */
export function topology(options: TopologyOptions): Topology {
  const { service, ...rest } = options ?? {};
  const settings = resolveOptions<Settings>('topology', topologyDefaults, rest, {
    windowMs: { min: 100 },
    maxEdges: { min: 1, max: 100_000, integer: true },
  });
  return new ProcessTopology(checkName('topology.service', service), settings);
}
