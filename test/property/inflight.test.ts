import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { type Balancer, p2c, roundRobin, standardBalancer } from 'keelson/balancer';
import { evidence, sre, threshold } from 'keelson/breaker';
import {
  type Call,
  cancelledBy,
  createCall,
  type Endpoint,
  type Gate,
  type Outcome,
  type Protocol,
  type Wire,
} from 'keelson/core';
import type { Resolution, Resolver } from 'keelson/discovery';
import { bbr, concurrency } from 'keelson/limiter';
import { clientStack } from 'keelson/stack';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { describe, it } from 'vitest';

// A whole client stack, a wire that does anything at any time, callers that give up, endpoints that come and go. However
// that is interleaved: when all is over, nothing may be in flight, no timer may wait and nobody may listen.

/** What the wire does with one try. */
interface Deed {
  readonly kind: 'answer' | 'reject' | 'throw' | 'hang';
  readonly status: number;
  readonly afterMs: number;
  /** Goes on although it is cancelled. */
  readonly deaf: boolean;
  /** How long its caller reads the body; without it there is none. */
  readonly bodyMs: number | undefined;
  /** Tells the end of the body twice, which it must not. */
  readonly stutters: boolean;
}

/** What happens from outside. */
type Event =
  | {
      readonly type: 'call';
      readonly idempotent: boolean;
      readonly giveUpMs: number | undefined;
      readonly leaveMs: number | undefined;
    }
  | { readonly type: 'endpoints'; readonly ids: readonly string[]; readonly restarted: boolean }
  | { readonly type: 'wait'; readonly ms: number };

interface Policy {
  readonly attempts: number;
  readonly hedgeMs: number | undefined;
  readonly timeoutMs: number;
  readonly perTryMs: number | undefined;
  readonly resolveMs: number;
  readonly limit: number;
  readonly gate: 'breaker' | 'threshold' | 'evidence' | 'concurrency' | 'bbr' | 'all';
  readonly balancer: 'standard' | 'p2c' | 'round robin';
}

const deed: fc.Arbitrary<Deed> = fc.record({
  kind: fc.constantFrom('answer', 'answer', 'answer', 'reject', 'throw', 'hang'),
  status: fc.constantFrom(200, 200, 200, 429, 500),
  afterMs: fc.integer({ min: 0, max: 120 }),
  deaf: fc.boolean(),
  bodyMs: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
  stutters: fc.boolean(),
});
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('call' as const),
      idempotent: fc.boolean(),
      giveUpMs: fc.option(fc.integer({ min: 0, max: 150 }), { nil: undefined }),
      leaveMs: fc.option(fc.integer({ min: -5, max: 150 }), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('endpoints' as const),
      ids: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 }),
      restarted: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 60 }) }),
  },
);
const policy: fc.Arbitrary<Policy> = fc.record({
  attempts: fc.integer({ min: 1, max: 4 }),
  hedgeMs: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
  timeoutMs: fc.constantFrom(20, 100, 1000, Number.POSITIVE_INFINITY),
  perTryMs: fc.option(fc.integer({ min: 5, max: 80 }), { nil: undefined }),
  resolveMs: fc.constantFrom(0, 30, 1000),
  limit: fc.constantFrom(1, 3, 100),
  gate: fc.constantFrom('breaker', 'threshold', 'evidence', 'concurrency', 'bbr', 'all'),
  balancer: fc.constantFrom('standard', 'p2c', 'round robin'),
});

interface Reply {
  readonly status: number;
  readonly body: Body | undefined;
}

/** Ends when whoever was given it has read it, or lets go of it: one that nobody has is in flight for ever. */
class Body {
  private over = false;
  private readonly listeners: ((outcome: Outcome) => void)[] = [];
  constructor(
    readonly takesMs: number,
    private readonly stutters: boolean,
  ) {}
  listen(done: (outcome: Outcome) => void): boolean {
    if (!this.over) this.listeners.push(done);
    return !this.over;
  }
  end(outcome: Outcome): void {
    if (this.over && !this.stutters) return;
    this.over = true;
    for (const done of this.listeners) done(outcome);
  }
}

const protocol: Protocol<number, Reply> = {
  classify: (reply) => {
    if (reply === undefined) return 'failure';
    if (reply.status === 429) return 'overload';
    return reply.status >= 500 ? 'failure' : 'success';
  },
  onEnd: (reply, done) => reply.body?.listen(done) ?? false,
  replay: (request) => request,
  discard: (reply) => reply.body?.end('ignored'),
};

/** Does one deed after the other, over and over. */
class ScriptedWire implements Wire<number, Reply> {
  readonly protocol = protocol;
  readonly schemes = ['test'];
  readonly open = new Set<Endpoint>();
  private at = 0;
  constructor(
    private readonly deeds: readonly Deed[],
    private readonly clock: ManualClock,
  ) {}
  connect(endpoint: Endpoint) {
    this.open.add(endpoint);
    return {
      handler: (_request: number, call: Call) =>
        this.play(this.deeds[this.at++ % this.deeds.length] as Deed, call),
      close: () => void this.open.delete(endpoint),
    };
  }
  private play(deed: Deed, call: Call): Promise<Reply> {
    const fault = new Error('wire');
    if (deed.kind === 'throw') throw fault;
    return new Promise((resolve, reject) => {
      const forget = deed.deaf ? undefined : call.cancel.onAbort(() => reject(call.cancel.reason));
      // One that hangs and heeds nobody does end one day, as a connection does.
      const takesMs = deed.kind === 'hang' ? 5000 : deed.afterMs;
      this.clock.after(takesMs, () => {
        forget?.();
        if (deed.kind === 'answer') resolve(this.reply(deed));
        else reject(fault);
      });
    });
  }
  private reply({ status, bodyMs, stutters }: Deed): Reply {
    return { status, body: bodyMs === undefined ? undefined : new Body(bodyMs, stutters) };
  }
}

class Feed implements Resolver {
  private push: ((resolution: Resolution) => void) | undefined;
  private processes = 0;
  watch(_service: string, onChange: (resolution: Resolution) => void) {
    this.push = onChange;
    return {
      close: () => {
        this.push = undefined;
      },
    };
  }
  set(ids: readonly string[], restarted: boolean): void {
    if (restarted) this.processes++;
    const instances = ids.map((id) => ({
      id: `${id}${this.processes}`,
      service: 'users',
      hostname: id,
      addresses: [`test://${id}:1`],
      version: '',
      zone: '',
      env: '',
      region: '',
      weight: 100,
      status: 'up' as const,
      metadata: {},
    }));
    this.push?.({ instances, stale: false });
  }
}

type Counted = Gate & { snapshot(now: number): { readonly inflight: number } };

const balancers: Record<Policy['balancer'], (seed: number) => Balancer> = {
  standard: (seed) => standardBalancer({ random: seededRandom(seed) }),
  p2c: (seed) => p2c({ random: seededRandom(seed), slowStart: {} }),
  'round robin': () => roundRobin(),
};

function gatesOf(kind: Policy['gate'], seed: number): Counted[] {
  const random = seededRandom(seed);
  const one = {
    breaker: () => [sre({ random, minRequests: 3, windowMs: 200 })],
    threshold: () => [threshold({ random, minRequests: 2, openMs: 20, probes: 1, probeTimeoutMs: 50 })],
    evidence: () => [evidence({ random, consecutiveFailures: 2, probeIntervalMs: 20, probeTimeoutMs: 50 })],
    concurrency: () => [concurrency({ limit: 2 })],
    bbr: () => [bbr({ load: () => 1, minLimit: 1 })],
  };
  return kind === 'all'
    ? [...one.concurrency(), ...one.threshold(), ...one.breaker(), ...one.evidence(), ...one.bbr()]
    : one[kind]();
}

class Run {
  private readonly clock = manualClock(1000);
  private readonly feed = new Feed();
  private readonly gates: Counted[] = [];
  private readonly limit: ReturnType<typeof concurrency>;
  private readonly controllers: AbortController[] = [];
  private readonly wire: ScriptedWire;
  private readonly stack;
  private pending = 0;

  constructor(deeds: readonly Deed[], policy: Policy, seed: number) {
    this.wire = new ScriptedWire(deeds, this.clock);
    this.limit = concurrency({ limit: policy.limit });
    this.stack = clientStack<number, Reply>({
      service: 'users',
      resolver: this.feed,
      wire: this.wire,
      clock: this.clock,
      random: seededRandom(seed),
      balancer: balancers[policy.balancer](seed),
      timeoutMs: policy.timeoutMs,
      perTryTimeoutMs: policy.perTryMs,
      resolveTimeoutMs: policy.resolveMs,
      retry: { attempts: policy.attempts, baseMs: 5 },
      hedge: policy.hedgeMs === undefined ? false : { delayMs: policy.hedgeMs, maxHedges: 2 },
      retryBudget: { minPerSecond: 1000 },
      limits: [this.limit],
      gates: () => {
        const gates = gatesOf(policy.gate, seed);
        this.gates.push(...gates);
        return gates;
      },
    });
    this.feed.set(['a', 'b'], false);
  }

  async play(events: readonly Event[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'wait') await this.clock.advance(event.ms);
      else if (event.type === 'endpoints') this.feed.set(event.ids, event.restarted);
      else this.call(event);
    }
  }

  private call({ idempotent, giveUpMs, leaveMs }: Event & { type: 'call' }): void {
    const controller = new AbortController();
    this.controllers.push(controller);
    const now = this.clock.now();
    const call = createCall({
      side: 'client',
      service: 'users',
      operation: 'GET',
      idempotent,
      cancel: cancelledBy(controller.signal),
      deadline: leaveMs === undefined ? Number.POSITIVE_INFINITY : now + leaveMs,
    });
    if (giveUpMs !== undefined) this.clock.after(giveUpMs, () => controller.abort(new Error('enough')));
    this.pending++;
    const over = () => void this.pending--;
    this.stack.handler(1, call).then((reply) => {
      over();
      this.read(reply.body);
    }, over);
  }

  private read(body: Body | undefined): void {
    if (body === undefined) return;
    const { takesMs } = body;
    this.clock.after(takesMs, () => body.end(takesMs % 3 === 0 ? 'failure' : 'success'));
    this.clock.after(takesMs + 5, () => body.end('success'));
  }

  /** What is wrong when all is over. */
  async remains(): Promise<string[]> {
    await this.clock.advance(20_000);
    const now = this.clock.now();
    const wrong: string[] = [];
    const none = (what: string, count: number) => {
      if (count !== 0) wrong.push(`${count} ${what}`);
    };
    none('calls without an end', this.pending);
    none('in flight in the limit', this.limit.snapshot(now).inflight);
    for (const gate of this.gates) none(`in flight in a gate (${gate.code})`, gate.snapshot(now).inflight);
    for (const { endpoint, inflight, balancer } of this.stack.snapshot()) {
      none(`in flight at ${endpoint.id}`, inflight);
      none(`leases of ${endpoint.id}`, balancer?.inflight ?? 0);
    }
    none('timers', this.clock.pending);
    for (const { signal } of this.controllers)
      none('listeners of a signal', getEventListeners(signal, 'abort').length);
    none('connections too many', this.wire.open.size - this.stack.snapshot().length);
    this.stack.close();
    none('connections after the end', this.wire.open.size);
    return wrong;
  }
}

describe('a client stack', () => {
  it('has nothing left when everything is over', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { minLength: 1, maxLength: 12 }),
        fc.array(event, { minLength: 1, maxLength: 40 }),
        policy,
        fc.nat(),
        async (deeds, events, chosen, seed) => {
          const run = new Run(deeds, chosen, seed);
          await run.play(events);
          const wrong = await run.remains();
          if (wrong.length > 0) throw new Error(wrong.join(', '));
        },
      ),
      { numRuns: 500 },
    );
  });
});
