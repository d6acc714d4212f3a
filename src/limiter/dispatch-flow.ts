/** A call's place in a {@link Flow}. */
export class Queued {
  /** @internal */ before: Queued | undefined = undefined;
  /** @internal */ after: Queued | undefined = undefined;
  /** In which it waits. */
  flow: Flow | undefined = undefined;
  /** What it is taken to cost, as of when it came; milliseconds. */
  costMs = 0;
}

/** Calls that wait for each other and share with all others: of one key, or of one operation. First come, first served. */
export class Flow {
  /** @internal */ before: Flow | undefined = undefined;
  /** @internal */ after: Flow | undefined = undefined;
  /** @internal When its next call is due, in time as it passes for whoever gets a fair share; milliseconds. */
  dueMs = 0;
  /** What waits in it; milliseconds. */
  queuedMs = 0;
  first: Queued | undefined = undefined;
  last: Queued | undefined = undefined;

  constructor(readonly name: string) {}

  push(ticket: Queued): void {
    ticket.before = this.last;
    if (this.last === undefined) this.first = ticket;
    else this.last.after = ticket;
    this.last = ticket;
    ticket.flow = this;
    this.queuedMs += ticket.costMs;
  }

  drop(ticket: Queued): void {
    if (ticket.before === undefined) this.first = ticket.after;
    else ticket.before.after = ticket.after;
    if (ticket.after === undefined) this.last = ticket.before;
    else ticket.after.before = ticket.before;
    ticket.before = undefined;
    ticket.after = undefined;
    ticket.flow = undefined;
    // Nobody waits: that is nothing, whatever rounding made of the sum.
    this.queuedMs = this.first === undefined ? 0 : Math.max(0, this.queuedMs - ticket.costMs);
  }
}

/**
 * The flows of which calls wait, in the order in which they are due.
 *
 * Start-time fair queueing: a flow that is served is due again when it would be if each had its share, that is later by
 * what the call cost. One that comes anew is due now. So whoever sends most waits longest, and only for itself.
 *
 * Source: Goyal, Vin, Cheng, "Start-time Fair Queueing", SIGCOMM 1996.
 */
export class FlowOrder {
  head: Flow | undefined = undefined;
  private tail: Flow | undefined = undefined;
  /** How far time has passed for the flows. */
  private nowMs = 0;

  /** A flow gets its first call. */
  enter(flow: Flow): void {
    flow.dueMs = this.nowMs;
    this.link(flow);
  }

  leave(flow: Flow): void {
    if (flow.before === undefined) this.head = flow.after;
    else flow.before.after = flow.after;
    if (flow.after === undefined) this.tail = flow.before;
    else flow.after.before = flow.before;
    flow.before = undefined;
    flow.after = undefined;
  }

  /** A call of the flow that is due was served, and others of it wait. */
  served(flow: Flow, costMs: number): void {
    this.nowMs = flow.dueMs;
    if (flow.first === undefined) return;
    this.leave(flow);
    flow.dueMs += costMs;
    this.link(flow);
  }

  /** The flow with most that waits, of a few that are due last: whoever took much is due late. */
  longest(): Flow | undefined {
    let longest = this.tail;
    let flow = longest?.before;
    for (let seen = 1; flow !== undefined && seen < mostSeen; seen++, flow = flow.before)
      if (flow.queuedMs > (longest as Flow).queuedMs) longest = flow;
    return longest;
  }

  private link(flow: Flow): void {
    const after = this.firstAfter(flow.dueMs);
    this.put(flow, after === undefined ? this.tail : after.before, after);
  }

  /** From both ends at once: one that comes anew belongs to the front, one that was served mostly to the end. */
  private firstAfter(dueMs: number): Flow | undefined {
    let front = this.head;
    let back = this.tail;
    while (front !== undefined && back !== undefined) {
      if (back.dueMs <= dueMs) return back.after;
      if (front.dueMs > dueMs) return front;
      front = front.after;
      back = back.before;
    }
    return this.head;
  }

  private put(flow: Flow, before: Flow | undefined, after: Flow | undefined): void {
    flow.before = before;
    flow.after = after;
    if (before === undefined) this.head = flow;
    else before.after = flow;
    if (after === undefined) this.tail = flow;
    else after.before = flow;
  }
}

/** Of so many flows the longest is looked for, so that refusing stays cheap. */
const mostSeen = 64;
