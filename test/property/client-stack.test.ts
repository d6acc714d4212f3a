import fc from 'fast-check';
import { type Breaker, evidence, sre, threshold } from 'keelson/breaker';
import {
  type Call,
  type Cancellation,
  cancelSource,
  createCall,
  type Gate,
  type Outcome,
  type Protocol,
  type Random,
  refusal,
  type Wire,
} from 'keelson/core';
import type { Resolver, ServiceInstance } from 'keelson/discovery';
import { concurrency } from 'keelson/limiter';
import { clientStack } from 'keelson/stack';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

// Retries, hedges, deadlines, limits and aborts all at once, over a wire that does what it likes: whoever wins, loses or
// gives up, each permit comes back once, each response is delivered or discarded, and nothing waits on.

class Reply {
  discarded = 0;
  private over: boolean;
  private readonly listeners: ((outcome: Outcome) => void)[] = [];
  constructor(
    readonly outcome: Outcome,
    bodiless: boolean,
  ) {
    this.over = bodiless;
  }
  listen(done: (outcome: Outcome) => void): boolean {
    if (!this.over) this.listeners.push(done);
    return !this.over;
  }
  end(outcome: Outcome): void {
    this.over = true;
    for (const done of this.listeners.splice(0)) done(outcome);
  }
}

const protocol: Protocol<string, Reply> = {
  classify: (reply) => reply?.outcome ?? 'failure',
  onEnd: (reply, done) => reply.listen(done),
  discard: (reply) => {
    reply.discarded++;
    reply.end('ignored');
  },
};

/** Answers sooner or later, well or badly; some calls heed an abort. */
function unrulyWire(clock: ReturnType<typeof manualClock>, random: Random) {
  const replies: Reply[] = [];
  let running = 0;
  const answer = (): Reply => {
    const draw = random();
    if (draw < 0.2) throw new Error('reset');
    if (draw < 0.25) throw refusal('OVERLOADED', 'shed', { side: 'server' });
    const outcome = draw < 0.3 ? 'overload' : draw < 0.45 ? 'failure' : draw < 0.5 ? 'ignored' : 'success';
    const reply = new Reply(outcome, random() < 0.3);
    replies.push(reply);
    return reply;
  };
  const handler = (_: string, call: Call): Promise<Reply> =>
    new Promise<Reply>((resolve, reject) => {
      running++;
      const timer = clock.after(random() < 0.2 ? 0 : random() * 120, () => {
        forget();
        try {
          resolve(answer());
        } catch (error) {
          reject(error);
        }
      });
      const heeds = random() < 0.8;
      const forget = call.cancel.onAbort(() => {
        if (!heeds) return;
        timer.cancel();
        reject(call.cancel.reason);
      });
    }).finally(() => running--);
  const wire: Wire<string, Reply> = {
    protocol,
    schemes: ['http'],
    connect: () => ({ handler, close: () => undefined }),
  };
  return { wire, replies, running: () => running };
}

const instances = (count: number): readonly ServiceInstance[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `i${i}`,
    service: 'users',
    hostname: `h${i}`,
    addresses: [`http://h${i}:80`],
    version: '',
    zone: '',
    env: '',
    region: '',
    weight: 100,
    status: 'up',
    metadata: {},
  }));

async function play(seed: number) {
  const random = seededRandom(seed);
  const clock = manualClock(1000);
  const { wire, replies, running } = unrulyWire(clock, random);
  const gates: (Gate & { snapshot(now: number): { readonly inflight: number } })[] = [];
  const limit = concurrency({ limit: 40 });
  gates.push(limit);
  const resolver: Resolver = {
    watch(_, onChange) {
      for (const [ms, count] of [[random() * 40, 3] as const, [250, 2] as const])
        clock.after(ms, () => onChange({ instances: instances(count), stale: false, reason: undefined }));
      return { close: () => undefined };
    },
  };
  const stack = clientStack<string, Reply>({
    service: 'users',
    resolver,
    wire,
    clock,
    random,
    timeoutMs: 150,
    perTryTimeoutMs: random() < 0.5 ? 60 : undefined,
    hedge: { delayMs: 20, maxHedges: 2 },
    retry: { attempts: 3 },
    retryBudget: { minPerSecond: 100 },
    limits: [limit],
    gates: () => {
      const breaker = [
        sre({ random, minRequests: 5 }),
        threshold({ random, minRequests: 5, openMs: 30 }),
        evidence({ random, consecutiveFailures: 2, probeIntervalMs: 30 }),
      ][Math.floor(random() * 3)] as Breaker;
      const own = [breaker, concurrency({ limit: 5 })];
      gates.push(...own);
      return own;
    },
  });
  // Of a process, say: it lives on, and must not gather listeners.
  const listeners = new Set<() => void>();
  const longLived: Cancellation = {
    aborted: false,
    reason: undefined,
    signal: new AbortController().signal,
    onAbort(run) {
      listeners.add(run);
      return () => void listeners.delete(run);
    },
  };
  const delivered = new Set<Reply>();
  const calls: Promise<void>[] = [];
  for (let i = 0; i < 40; i++) {
    const own = cancelSource(longLived);
    const call = createCall({
      side: 'client',
      service: 'users',
      operation: 'GET',
      idempotent: random() < 0.8,
      cancel: random() < 0.7 ? own : undefined,
      deadline: random() < 0.2 ? clock.now() + random() * 100 : undefined,
    });
    const read = (reply: Reply): void => {
      delivered.add(reply);
      clock.after(random() * 30, () => reply.end(random() < 0.5 ? reply.outcome : 'ignored'));
    };
    calls.push(
      stack
        .handler('hello', call)
        .then(read, () => undefined)
        .then(() => own.dispose()),
    );
    if (random() < 0.2) clock.after(random() * 60, () => own.abort(new Error('gone')));
    await clock.advance(random() * 10);
    for (const gate of gates) expect(gate.snapshot(clock.now()).inflight).toBeGreaterThanOrEqual(0);
  }
  await clock.advance(2000);
  await Promise.all(calls);
  return { clock, stack, gates, replies, delivered, running, listeners };
}

describe('a client stack over an unruly wire', () => {
  it('holds nothing in the end', async () => {
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), async (seed) => {
        const { clock, stack, gates, replies, delivered, running, listeners } = await play(seed);
        for (const gate of gates) expect(gate.snapshot(clock.now()).inflight).toBe(0);
        for (const { inflight } of stack.snapshot()) expect(inflight).toBe(0);
        for (const reply of replies) expect(reply.discarded).toBe(delivered.has(reply) ? 0 : 1);
        expect([running(), listeners.size, clock.pending]).toEqual([0, 0, 0]);
        answered += delivered.size;
        stack.close();
      }),
      { numRuns: 40 },
    );
    // Or it would have shown nothing.
    expect(answered).toBeGreaterThan(200);
  });
});
