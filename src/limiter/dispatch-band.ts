import { Flow, FlowOrder, type Queued } from './dispatch-flow.js';

/** How much is asked for is remembered over so much time; milliseconds. */
const demandMs = 1000;
const fadeMs = 5;

/** The calls of one priority. */
export class Band {
  /** What waits in it; milliseconds. */
  queuedMs = 0;
  /** How many calls wait in it. */
  queued = 0;
  private readonly flows = new Map<string, Flow>();
  private readonly order = new FlowOrder();
  private demanded = 0;
  private demandedAt = Number.NaN;
  private owed = 0;
  private owedAt = Number.NaN;

  constructor(
    readonly priority: number,
    private readonly share: number,
  ) {}

  /** How many flows have calls that wait. */
  get size(): number {
    return this.flows.size;
  }
  /** The call whose turn it is. */
  get next(): Queued | undefined {
    return this.order.head?.first;
  }

  /** What of this priority waits before a call of that flow and cost would start; milliseconds. */
  aheadMs(name: string, costMs: number): number {
    const flow = this.flows.get(name);
    const sharers = this.flows.size + (flow === undefined ? 1 : 0);
    return Math.min(this.queuedMs, ((flow?.queuedMs ?? 0) + costMs) * sharers);
  }

  add(name: string, ticket: Queued): void {
    let flow = this.flows.get(name);
    if (flow === undefined) {
      flow = new Flow(name);
      this.flows.set(name, flow);
      this.order.enter(flow);
    }
    flow.push(ticket);
    this.queuedMs += ticket.costMs;
    this.queued++;
  }

  /** Takes out the call whose turn it is. */
  serve(ticket: Queued): void {
    const { flow, costMs } = ticket;
    if (flow === undefined) return;
    flow.drop(ticket);
    this.order.served(flow, costMs);
    this.uncount(flow, costMs);
  }

  /** Takes out any call. */
  remove(ticket: Queued): void {
    const { flow, costMs } = ticket;
    if (flow === undefined) return;
    flow.drop(ticket);
    this.uncount(flow, costMs);
  }

  /** The one that others are to be spared by refusing it: the newest of who waits with most. */
  get last(): Queued | undefined {
    return this.order.longest()?.last;
  }

  /** Work of this priority that was asked for, in milliseconds per millisecond. */
  demand(now: number): number {
    this.fade(now);
    return this.demanded / demandMs;
  }
  ask(costMs: number, now: number): void {
    this.fade(now);
    this.demanded += costMs;
  }

  /**
   * What is due to it whatever waits above it: a share of all time, of which it can save up a second's worth, and enough
   * for one call; milliseconds.
   */
  dueMs(now: number, costMs: number): number {
    const passed = now - this.owedAt;
    if (passed > 0 || Number.isNaN(passed)) this.owed += this.share * (passed > 0 ? passed : 0);
    this.owed = Math.min(this.owed, Math.max(costMs, this.share * savedMs));
    this.owedAt = now;
    return this.owed;
  }
  /** It was served, in its turn or not. */
  charge(costMs: number): void {
    this.owed = Math.max(this.owed - costMs, -this.share * savedMs);
  }

  private uncount(flow: Flow, costMs: number): void {
    this.queued--;
    this.queuedMs = this.queued === 0 ? 0 : Math.max(0, this.queuedMs - costMs);
    if (flow.first !== undefined) return;
    this.order.leave(flow);
    this.flows.delete(flow.name);
  }

  private fade(now: number): void {
    const passed = now - this.demandedAt;
    // An exponential costs more than all the rest, and within so little time nothing fades.
    if (passed >= 0 && passed < fadeMs) return;
    // A clock that stepped back counts as no time passed.
    if (passed > 0) this.demanded *= Math.exp(-passed / demandMs);
    this.demandedAt = now;
  }
}

const savedMs = 1000;
