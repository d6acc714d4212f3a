import { type Call, createCall, type Handler, type Protocol } from 'keelson/core';
import { hedge, type RetryBudget, retry, retryBudget } from 'keelson/retry';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const protocol: Protocol<string, number> = {
  classify: (status) => (status === 200 ? 'success' : 'failure'),
};

/** Says yes to everything: what retries are without a budget. */
const unlimited = (): RetryBudget => ({
  deposit: () => undefined,
  withdraw: () => true,
  snapshot: () => ({ available: Number.POSITIVE_INFINITY, withdrawn: 0, refused: 0 }),
});

interface Storm {
  readonly tiers: number;
  readonly attempts: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly budget: () => RetryBudget;
  /** Whether the last service answers at that second. */
  readonly up: (second: number) => boolean;
}

/** A chain of services, each calling the next by a client with retries; the last one is up or down. */
async function storm({ tiers, attempts, perSecond, seconds, budget, up }: Storm) {
  const clock = manualClock();
  const random = seededRandom(7);
  const arrived = new Array<number>(seconds + 1).fill(0);
  let handler: Handler<string, number> = () => {
    const second = Math.floor(clock.now() / 1000);
    arrived[second] = (arrived[second] ?? 0) + 1;
    return Promise.resolve(up(second) ? 200 : 503);
  };
  const budgets = Array.from({ length: tiers }, budget);
  for (const [tier, shared] of budgets.entries()) {
    const send = retry({ protocol, clock, random, attempts, budget: shared })(handler);
    const call = () =>
      createCall({ side: 'client', service: `tier ${tier}`, operation: 'GET', idempotent: true });
    handler = (request) => send(request, call());
  }
  const answered = new Array<number>(seconds + 1).fill(0);
  const outermost = createCall({ side: 'client', service: 'user', operation: 'GET' });
  for (let nth = 0; nth < perSecond * seconds; nth++) {
    const second = Math.floor(clock.now() / 1000);
    void handler('hello', outermost).then((status) => {
      if (status === 200) answered[second] = (answered[second] ?? 0) + 1;
    });
    await clock.advance(1000 / perSecond);
  }
  await clock.advance(5000);
  const sum = (list: readonly number[], from: number, to: number) =>
    list.slice(from, to).reduce((total, one) => total + one, 0);
  return {
    arrived: (from: number, to: number) => sum(arrived, from, to),
    answered: (from: number, to: number) => sum(answered, from, to),
    pending: clock.pending,
  };
}

describe('a retry storm', () => {
  const outage = { tiers: 3, attempts: 3, perSecond: 100, seconds: 20, up: () => false };

  it('without a budget, three tries in each of three tiers are 27', async () => {
    const { arrived } = await storm({ ...outage, seconds: 3, budget: unlimited });
    expect(arrived(0, 10) / 300).toBe(27);
  });

  it('with budgets, an outage of everything is met by little more than the calls themselves', async () => {
    const { arrived, pending } = await storm({ ...outage, budget: retryBudget });
    // Nothing succeeds, so nothing is earned. Each tier adds what its budget starts with (3) and 0.3 per second while
    // calls come (20 s, and less than one for the last waits): at most 9.3. A try added in one tier is one call in the
    // next, which adds no more than that tier's own budget has.
    const calls = 100 * 20;
    const bound = (calls + 3 * (3 + 0.3 * 21)) / calls;
    expect(bound).toBeLessThan(1.02);
    expect(arrived(0, 30) / calls).toBeLessThanOrEqual(bound);
    // The budgets are used, not merely withheld.
    expect(arrived(0, 30) / calls).toBeGreaterThan(1.005);
    expect(pending).toBe(0);
  });

  it('after a good time, what was saved up is spent once', async () => {
    const { arrived, answered } = await storm({
      ...outage,
      seconds: 20,
      budget: retryBudget,
      up: (second) => second < 5,
    });
    // 5 s of success earn each budget 50 tries, of which 10 * 10 * (1 - exp(-5 / 10)) = 39.4 are left, and 3 it began with;
    // after that 0.3 per second and tier.
    const calls = 100 * 15;
    expect(arrived(5, 30)).toBeLessThanOrEqual(calls + 3 * (39.4 + 3 + 0.3 * 16));
    expect(arrived(5, 30)).toBeGreaterThan(calls + 3 * 39);
    expect(answered(0, 5)).toBe(500);
  });

  it('ends with the outage: no backlog of tries, and everything is answered', async () => {
    const up = (second: number) => second < 3 || second >= 10;
    const { arrived, answered } = await storm({ ...outage, seconds: 20, budget: retryBudget, up });
    // The longest chain of waits is two of at most 25 and 50 ms in each tier: a second later nothing is left of it.
    expect(arrived(11, 20)).toBe(900);
    expect(answered(11, 20)).toBe(900);
  });
});

describe('a callee that fails every twentieth call', () => {
  it('is covered by retries, within the share of the budget', async () => {
    const clock = manualClock();
    const random = seededRandom(11);
    const budget = retryBudget();
    let sent = 0;
    let failed = 0;
    const send = retry({ protocol, clock, random, budget })(() => {
      sent++;
      return Promise.resolve(random() < 0.05 ? 503 : 200);
    });
    const calls = 5000;
    for (let nth = 0; nth < calls; nth++) {
      void send(
        'hello',
        createCall({ side: 'client', service: 'a', operation: 'GET', idempotent: true }),
      ).then((status) => {
        if (status !== 200) failed++;
      });
      await clock.advance(5);
    }
    await clock.advance(1000);
    // One failure in twenty asks for one try in twenty, and the budget has one in ten: it refuses none. Two failures in a
    // row are one in four hundred; four standard deviations of a binomial around that.
    expect(budget.snapshot(clock.now()).refused).toBe(0);
    expect(sent).toBe(calls + budget.snapshot(clock.now()).withdrawn);
    const spread = 4 * Math.sqrt(calls * 0.0025 * 0.9975);
    expect(failed).toBeGreaterThan(Math.max(0, calls * 0.0025 - spread));
    expect(failed).toBeLessThan(calls * 0.0025 + spread);
  });
});

describe('hedging a long tail', () => {
  it('cuts the 99th percentile to little more than the delay, for few copies', async () => {
    const run = async (hedged: boolean) => {
      const clock = manualClock();
      const random = seededRandom(5);
      let copies = 0;
      // One copy in twenty-five takes 500 ms, the others 10.
      const leaf = (_request: string, call: Call): Promise<number> => {
        copies++;
        const ms = random() < 0.04 ? 500 : 10;
        return new Promise((resolve, reject) => {
          const timer = clock.after(ms, () => resolve(200));
          call.cancel.onAbort(() => {
            timer.cancel();
            reject(call.cancel.reason);
          });
        });
      };
      const send = hedged ? hedge({ protocol, clock })(leaf) : leaf;
      const latencies: number[] = [];
      const calls = 3000;
      for (let nth = 0; nth < calls; nth++) {
        const startedAt = clock.now();
        void send(
          'hello',
          createCall({ side: 'client', service: 'a', operation: 'GET', idempotent: true }),
        ).then(() => latencies.push(clock.now() - startedAt));
        await clock.advance(5);
      }
      await clock.advance(1000);
      latencies.sort((a, b) => a - b);
      return {
        p99: latencies[Math.floor(calls * 0.99)] as number,
        copies: copies / calls,
        pending: clock.pending,
      };
    };
    expect((await run(false)).p99).toBe(500);
    const { p99, copies, pending } = await run(true);
    // The 95th percentile is 10 ms, known to within 10 %; then a slot of the wheel, then the 10 ms of the copy. Both
    // copies are slow once in 625 calls, and the first 50 calls are not hedged: together less than one in a hundred.
    expect(p99).toBeLessThanOrEqual(10 * 1.1 + 4 + 10);
    // One call in twenty-five is hedged; four standard deviations above.
    expect(copies).toBeLessThan(1 + 0.04 + 4 * Math.sqrt((0.04 * 0.96) / 3000));
    expect(pending).toBe(0);
  });
});
