import { type Call, createCall } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { direct, type Receiver, startOf } from '../core/receiver.js';
import { classifyError } from '../http/wire-error.js';
import { otherService } from '../topology/edge.js';
import type { Topology } from '../topology/topology.js';

/** How a call ended that hooks have seen: with an answer, or with what was thrown. */
export interface Witnessed {
  readonly outcome: Outcome;
  /** What was thrown; then `outcome` says nothing. */
  readonly error?: unknown;
  /** When it began. */
  readonly startedAt: number;
}

const protocol: Protocol<Witnessed, Witnessed> = {
  classify: (ended, error) => (ended === undefined ? classifyError(error) : ended.outcome),
};

/** Hooks hear no more than that a call is over, so it is counted at its end, whole. */
class Over implements Receiver<Witnessed> {
  constructor(readonly askedAt: number) {}
  answered(): void {
    // Nobody waits for it.
  }
  failed(): void {
    // Nobody waits for it.
  }
}

type Count = (ended: Witnessed, call: Call) => void;

function counting(middleware: Middleware<Witnessed, Witnessed>, clock: Clock): Count {
  const inner = direct<Witnessed, Witnessed>((ended, _, receiver) => {
    if (ended.error === undefined) receiver.answered(ended);
    else receiver.failed(ended.error);
  }, clock);
  const start = startOf(middleware(inner));
  return (ended, call) => start(ended, call, new Over(ended.startedAt));
}

/** Most hosts that are told apart. */
const mostHosts = 200;

/** Who calls whom, as hooks see it: callers by the names that they tell, callees by their hosts. */
export class WitnessedEdges {
  private readonly hosts = new Map<string, Count>();
  private readonly server: Count;

  constructor(
    private readonly topology: Topology,
    private readonly clock: Clock,
    callerOf: (call: Call) => string,
  ) {
    this.server = counting(topology.server({ protocol, callerOf }), clock);
  }

  /** A call that came. */
  served(ended: Witnessed, call: Call): void {
    this.server(ended, call);
  }

  /**
   * A call that went out.
   *
   * @param host - that was asked
   * @param operation - of low cardinality
   */
  sent(ended: Witnessed, host: string, operation: string): void {
    const callee = this.hosts.has(host) || this.hosts.size < mostHosts ? host : otherService;
    let count = this.hosts.get(callee);
    if (count === undefined) {
      count = counting(this.topology.client({ callee, protocol }), this.clock);
      this.hosts.set(callee, count);
    }
    count(ended, createCall({ side: 'client', service: callee, operation }));
  }
}
