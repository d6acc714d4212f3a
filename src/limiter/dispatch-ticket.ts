import type { Ask } from '../core/gate.js';
import type { Band } from './dispatch-band.js';
import type { OperationCost } from './dispatch-costs.js';
import { Queued } from './dispatch-flow.js';

/** What the queue may want to know of a call; a call is one. */
export interface DispatchAsk extends Ask {
  /** By when it has to be answered, on the scale of `now`; milliseconds, `Infinity` for never. */
  readonly deadline?: number | undefined;
}

/** Where a call is on its way. */
export type DispatchState = 'new' | 'queued' | 'running' | 'over';

/** One call's place in the queue, and then among those that run. */
export class DispatchTicket extends Queued {
  /** Where it is. */
  state: DispatchState = 'new';
  /** In which it waits, or did. */
  band: Band | undefined = undefined;
  /** What is known of calls like it. */
  operation: OperationCost | undefined = undefined;
  /** What it is taken to cost after its synchronous part; milliseconds. */
  laterMs = 0;
  /** When it started. */
  startedAt = 0;

  constructor(readonly ask: DispatchAsk | undefined) {
    super();
  }
}
