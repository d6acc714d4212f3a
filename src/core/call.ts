import { type Cancellation, uncancelled } from './cancel.js';
import { type Carrier, carrier } from './carrier.js';
import type { Endpoint } from './endpoint.js';
import type { Ask } from './gate.js';
import { type CallValues, Values } from './values.js';

/** The loads that a pick of two was decided by. */
export interface ComparedLoads {
  /** Of the one that was picked; comparable within one pick only. */
  readonly load: number;
  /** The other one. */
  readonly rival: Endpoint;
  /** Its load. */
  readonly rivalLoad: number;
}

/** What can be asked of a pick at once, before the next one is made. */
export interface PickEvidence {
  /** What was compared; `undefined` where nothing was. */
  compared?(): ComparedLoads | undefined;
}

/** The record of one try of a call, filled in as it goes. */
export interface Attempt {
  /** 1 for the first try. */
  readonly number: number;
  /** Unique to this try; made at the first read. */
  readonly id: string;
  /** Ids of the endpoints that earlier tries of the call went to: pick another while there is one. */
  readonly avoid: ReadonlySet<string> | undefined;
  /** Who was picked. */
  endpoint: Endpoint | undefined;
  /** Why that one, in a word: `least`, `p2c`, `forced`, `only`, `hash`. */
  reason: string | undefined;
  /** How many endpoints there were to pick from, if whoever picks says so. */
  choices: number | undefined;
  /** When it was picked, on the clock's scale; milliseconds. */
  pickedAt: number | undefined;
  /** What the pick was decided by, for those that look at it as soon as it is made. */
  pick: PickEvidence | undefined;
}

/** What is known of a call besides its message. Immutable; {@link derive} and {@link fork} make changed ones. */
export interface Call extends Ask {
  /** Which end of the wire this process is. */
  readonly side: 'client' | 'server';
  /** Logical name of the service that is called; on a server, its own. */
  readonly service: string;
  /** `GET /users/:id`, `/helloworld.Greeter/SayHello`: low cardinality, never a raw path. */
  readonly operation: string;
  /** On the clock's scale, milliseconds; `Infinity` for none. Never crosses a thread or a wire as such. */
  readonly deadline: number;
  /** Whether the caller gave up. */
  readonly cancel: Cancellation;
  /** Whether sending it twice does no more than sending it once. The wire sets it (method, gRPC option). */
  readonly idempotent: boolean;
  /** Headers: those to send on a client, those received on a server. */
  readonly headers: Carrier;
  /** Typed values for this process only. */
  readonly values: CallValues;
  /** The current try. */
  readonly attempt: Attempt;
  /** Higher is kept longer under overload; 0 when nothing is known. */
  readonly priority: number;
}

/** What {@link createCall} needs; all but the first three have defaults. */
export interface CallInit extends Ask {
  /** Which end of the wire this process is. */
  readonly side: 'client' | 'server';
  /** Logical name of the service. */
  readonly service: string;
  /** Low-cardinality name. */
  readonly operation: string;
  /** Milliseconds on the clock's scale. */
  readonly deadline?: number | undefined;
  /** Whether the caller gave up. */
  readonly cancel?: Cancellation | undefined;
  /** Whether it may be sent twice. */
  readonly idempotent?: boolean | undefined;
  /** Headers. */
  readonly headers?: Carrier | undefined;
}

/** What {@link derive} may change. */
export interface CallChange {
  /** Milliseconds on the clock's scale. */
  readonly deadline?: number | undefined;
  /** Whether the caller gave up. */
  readonly cancel?: Cancellation | undefined;
  /** Importance. */
  readonly priority?: number | undefined;
  /** Headers. */
  readonly headers?: Carrier | undefined;
}

/** What all attempts and all derived forms of one call share. */
class Scope extends Values {
  named = false;
  routed: (() => string | undefined) | undefined = undefined;
  constructor(
    public operation: string,
    public latest: AttemptRecord,
  ) {
    super();
  }
}

class AttemptRecord implements Attempt {
  endpoint: Endpoint | undefined = undefined;
  reason: string | undefined = undefined;
  choices: number | undefined = undefined;
  pickedAt: number | undefined = undefined;
  pick: PickEvidence | undefined = undefined;
  private made: string | undefined = undefined;
  readonly number: number;
  readonly avoid: ReadonlySet<string> | undefined;
  constructor(readonly previous: AttemptRecord | undefined) {
    this.number = previous === undefined ? 1 : previous.number + 1;
    this.avoid = triedUpTo(previous);
  }
  get id(): string {
    this.made ??= globalThis.crypto.randomUUID();
    return this.made;
  }
}

/** Walks all earlier tries, because of tries in parallel one may have got its endpoint after the next was made. */
function triedUpTo(attempt: AttemptRecord | undefined): Set<string> | undefined {
  let tried: Set<string> | undefined;
  for (let one = attempt; one !== undefined; one = one.previous) {
    if (one.endpoint === undefined) continue;
    tried ??= new Set();
    tried.add(one.endpoint.id);
  }
  return tried;
}

class CallRecord implements Call {
  constructor(
    readonly side: 'client' | 'server',
    readonly service: string,
    readonly scope: Scope,
    readonly deadline: number,
    readonly cancel: Cancellation,
    readonly idempotent: boolean,
    readonly headers: Carrier,
    readonly attempt: Attempt,
    readonly priority: number,
    readonly cost: number,
    readonly key: string | undefined,
  ) {}
  get operation(): string {
    const { scope } = this;
    return scope.routed === undefined ? scope.operation : (scope.routed() ?? scope.operation);
  }
  get values(): CallValues {
    return this.scope;
  }
}

/** Makes a call. Wires do this; a user needs it for tests and for wires of their own. */
export function createCall(init: CallInit): Call {
  const latest = new AttemptRecord(undefined);
  return new CallRecord(
    init.side,
    init.service,
    new Scope(init.operation, latest),
    init.deadline ?? Number.POSITIVE_INFINITY,
    init.cancel ?? uncancelled,
    init.idempotent ?? false,
    init.headers ?? carrier(),
    latest,
    init.priority ?? 0,
    init.cost ?? 1,
    init.key,
  );
}

function copy(call: Call, change: CallChange, attempt: Attempt, headers: Carrier): Call {
  const from = call as CallRecord;
  return new CallRecord(
    from.side,
    from.service,
    from.scope,
    change.deadline ?? from.deadline,
    change.cancel ?? from.cancel,
    from.idempotent,
    headers,
    attempt,
    change.priority ?? from.priority,
    from.cost,
    from.key,
  );
}

/** The same attempt of the same call under another deadline, cancellation or priority. */
export function derive(call: Call, change: CallChange): Call {
  return copy(call, change, call.attempt, change.headers ?? call.headers);
}

/**
 * The next attempt of a call, after or beside the others: a record with the next number that avoids the endpoints of
 * all attempts so far, and headers of its own.
 */
export function fork(call: Call, change: CallChange = {}): Call {
  const headers = change.headers ?? call.headers.fork?.() ?? call.headers;
  const { scope } = call as CallRecord;
  scope.latest = new AttemptRecord(scope.latest);
  return copy(call, change, scope.latest, headers);
}

/**
 * Names the operation of a call once routing knows it; every form of the call sees the name. The first name stays.
 *
 * @param operation - a template such as `GET /users/:id`, never a raw path
 */
export function nameOperation(call: Call, operation: string): void {
  const { scope } = call as CallRecord;
  if (scope.named) return;
  scope.named = true;
  scope.routed = undefined;
  scope.operation = operation;
}

/**
 * Has the operation of a call named by whoever routes it and does not say when it knows: asked at each look, until
 * {@link nameOperation} has named it. While it is `undefined` the operation is what it was.
 *
 * @param operation - gives a template such as `GET /users/:id`, never a raw path; must not throw
 */
export function routeOperation(call: Call, operation: () => string | undefined): void {
  const { scope } = call as CallRecord;
  if (!scope.named) scope.routed = operation;
}

/** How many tries of a call were begun so far, copies included, told by any form of it. */
export function triesOf(call: Call): number {
  return (call as Partial<CallRecord>).scope?.latest.number ?? call.attempt.number;
}
