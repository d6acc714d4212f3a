import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { AlwaysOffSampler } from '@opentelemetry/sdk-trace-base';
import { leastLoad, p2c } from 'keelson/balancer';
import {
  type Call,
  compose,
  type Endpoint,
  fork,
  type Handler,
  type Middleware,
  type Protocol,
  refusal,
  type TiedCopy,
  tiedCopies,
} from 'keelson/core';
import { hedge, retry, retryBudget } from 'keelson/retry';
import { createBus } from 'keelson/stack';
import { attemptTracing, httpClientSemantics, standing, tracing } from 'keelson/telemetry';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientCall, endpointAt } from '../../doubles/traced-services.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

interface Answer {
  readonly status: number;
}
const question = { method: 'GET', path: '/' };
type Question = typeof question;

const protocol: Protocol<Question, Answer> = {
  classify: (answer) => (answer === undefined || answer.status >= 500 ? 'failure' : 'success'),
};

let sdk: TracingSdk;
beforeEach(() => {
  sdk = tracingSdk();
});
afterEach(async () => {
  await sdk.stop();
});

/** Tries in the order in which they began. */
const tries = (): ReadableSpan[] =>
  sdk.ofKind('CLIENT').sort((one, other) => (attemptOf(one) ?? 1) - (attemptOf(other) ?? 1));
const attemptOf = (span: ReadableSpan) => span.attributes['keelson.attempt'] as number | undefined;
const ids = (span: ReadableSpan | undefined) => span?.spanContext().spanId;
const linked = (span: ReadableSpan | undefined) =>
  span?.links.map(({ context, attributes }) => [context.spanId, attributes?.['keelson.link']]);

const picking =
  (leaf: Handler<Question, Answer>): Handler<Question, Answer> =>
  (request, call) => {
    call.attempt.endpoint = endpointAt(`http://10.0.0.${call.attempt.number}:80`, `e${call.attempt.number}`);
    call.attempt.reason = 'least';
    call.attempt.pickedAt = 1000;
    return leaf(request, call);
  };

const options = { semantics: httpClientSemantics, protocol };
const tried = (leaf: Handler<Question, Answer>) =>
  picking(attemptTracing<Question, Answer>({ ...options, underTracing: true })(leaf));
const client = (
  middlewares: Parameters<typeof compose<Question, Answer>>[0],
  leaf: Handler<Question, Answer>,
) =>
  compose<Question, Answer>(
    [tracing<Question, Answer>({ ...options, side: 'client', logicalSpan: true }), ...middlewares],
    tried(leaf),
  );

const budget = () => retryBudget({ minPerSecond: 10 });

describe('a retry', () => {
  const again = () => retry<Question, Answer>({ protocol, baseMs: 0, attempts: 3, budget: budget() });

  it('is linked to the try before, and the call tells of it', async () => {
    let left = 2;
    const answer = await client([again()], () => Promise.resolve({ status: left-- > 0 ? 503 : 200 }))(
      question,
      clientCall(),
    );
    expect(answer.status).toBe(200);
    const [first, second, third] = tries();
    expect(first?.attributes).not.toHaveProperty('keelson.attempt.kind');
    expect(linked(first)).toEqual([]);
    expect(second?.attributes).toMatchObject({
      'keelson.attempt': 2,
      'keelson.attempt.kind': 'retry',
      'http.request.resend_count': 1,
    });
    expect(linked(second)).toEqual([[ids(first), 'retry']]);
    expect(linked(third)).toEqual([[ids(second), 'retry']]);
    const [call] = sdk.ofKind('INTERNAL');
    expect(call?.attributes['keelson.attempts']).toBe(3);
    expect(call?.events.map(({ name, attributes }) => [name, attributes])).toEqual([
      ['keelson.retry', { 'keelson.attempt': 2, 'keelson.endpoint': 'e2' }],
      ['keelson.retry', { 'keelson.attempt': 3, 'keelson.endpoint': 'e3' }],
    ]);
    expect(tries().some(({ attributes }) => 'keelson.copy.outcome' in attributes)).toBe(false);
  });
});

describe('a hedge', () => {
  it('is linked to the copy beside it; one wins, the other has lost and is no error', async () => {
    const clock = manualClock();
    const answers: ((answer: Answer) => void)[] = [];
    const leaf = (_: Question, call: Call): Promise<Answer> =>
      new Promise((resolve, reject) => {
        answers.push(resolve);
        call.cancel.onAbort(() => reject(call.cancel.reason));
      });
    const hedging = hedge<Question, Answer>({ protocol, delayMs: 10, clock, budget: budget() });
    const running = client([hedging], leaf)(question, clientCall());
    await clock.advance(20);
    expect(answers).toHaveLength(2);
    answers[1]?.({ status: 200 });
    expect(await running).toEqual({ status: 200 });
    const [first, second] = tries();
    expect(second?.attributes).toMatchObject({
      'keelson.attempt.kind': 'hedge',
      'keelson.copy.outcome': 'won',
    });
    expect(linked(second)).toEqual([[ids(first), 'hedge']]);
    expect(first?.attributes).toMatchObject({
      'keelson.copy.outcome': 'lost',
      'keelson.rejection': 'CANCELLED',
    });
    expect(first?.attributes).not.toHaveProperty('error.type');
    expect(sdk.ofKind('INTERNAL')[0]?.events.map(({ name }) => name)).toEqual(['keelson.hedge']);
  });

  it('a copy that fails has neither won nor lost', async () => {
    const gates: ((answer: Answer) => void)[] = [];
    const twice =
      (next: Handler<Question, Answer>): Handler<Question, Answer> =>
      async (request, call) => {
        const all = [next(request, call), next(request, fork(call))];
        gates[0]?.({ status: 500 });
        gates[1]?.({ status: 200 });
        return (await Promise.all(all))[1] as Answer;
      };
    await client([twice], () => new Promise((resolve) => gates.push(resolve)))(question, clientCall());
    expect(tries().map(({ attributes }) => attributes['keelson.copy.outcome'])).toEqual([undefined, 'won']);
  });
});

describe('a tied call', () => {
  it('says so on both copies', async () => {
    const both: Middleware<Question, Answer> = (next) => async (request, call) => {
      call.values.set(tiedCopies, ({ number }) => ({ mode: number === 1 ? 'free' : 'claim' }) as TiedCopy);
      const all = [next(request, call), next(request, fork(call))];
      return (await Promise.all(all))[0] as Answer;
    };
    await client([both], () => Promise.resolve({ status: 200 }))(question, clientCall());
    const [first, second] = tries();
    expect(first?.attributes).toMatchObject({ 'keelson.attempt.kind': 'tied', 'keelson.tied.mode': 'free' });
    expect(first?.attributes).not.toHaveProperty('keelson.attempt');
    expect(second?.attributes).toMatchObject({ 'keelson.attempt': 2, 'keelson.tied.mode': 'claim' });
    expect(linked(second)).toEqual([[ids(first), 'tied']]);
    expect([first, second].map((one) => one?.attributes['keelson.copy.outcome'])).toEqual(['won', 'late']);
    expect(sdk.ofKind('INTERNAL')[0]?.events.map(({ name }) => name)).toEqual(['keelson.tied']);
  });
});

describe('why an endpoint was chosen', () => {
  const endpoints: Endpoint[] = ['a', 'b'].map((id) => endpointAt(`http://${id}`, id));

  it.each([
    ['p2c', () => p2c({ forcePickMs: Number.POSITIVE_INFINITY })],
    ['leastLoad', () => leastLoad()],
  ])('tells both candidates and their loads: %s', async (_, make) => {
    const balancer = make();
    balancer.update(endpoints, 0);
    const compared: unknown[] = [];
    for (let now = 1; now < 60; now++) {
      const lease = balancer.pick(now);
      const evidence = lease?.compared?.();
      if (evidence === undefined) continue;
      compared.push(evidence);
      expect(evidence.rival.id).not.toBe(lease?.endpoint.id);
      expect(evidence.load).toBeLessThanOrEqual(evidence.rivalLoad * 1.2 + 1e-9);
    }
    expect(compared.length).toBeGreaterThan(0);
  });

  it('is on the span', async () => {
    const leaf: Handler<Question, Answer> = (request, call) => {
      call.attempt.endpoint = endpoints[0];
      call.attempt.reason = 'p2c';
      call.attempt.choices = 2;
      call.attempt.pickedAt = 1000;
      call.attempt.pick = {
        compared: () => ({ load: 1.5, rival: endpoints[1] as Endpoint, rivalLoad: Number.POSITIVE_INFINITY }),
      };
      return attemptTracing<Question, Answer>(options)(() => Promise.resolve({ status: 200 }))(request, call);
    };
    await leaf(question, clientCall());
    const [span] = tries();
    expect(span?.attributes).toMatchObject({
      'keelson.endpoint': 'a',
      'keelson.pick.reason': 'p2c',
      'keelson.pick.choices': 2,
      'keelson.pick.load': 1.5,
      'keelson.pick.rival': 'b',
    });
    expect(span?.attributes).not.toHaveProperty('keelson.pick.rival_load');
    expect(span?.attributes).not.toHaveProperty('keelson.deadline.left_ms');
  });

  it('is not asked where nothing is recorded', async () => {
    await sdk.stop();
    sdk = tracingSdk({ sampler: new AlwaysOffSampler() });
    const leaf: Handler<Question, Answer> = (request, call) => {
      call.attempt.pick = {
        compared: () => {
          throw new Error('asked');
        },
      };
      return attemptTracing<Question, Answer>(options)(() => Promise.resolve({ status: 200 }))(request, call);
    };
    expect(await leaf(question, clientCall())).toEqual({ status: 200 });
  });
});

describe('how endpoints stand', () => {
  it('is on the spans, and its changes are events of the call that caused them', async () => {
    const bus = createBus();
    const known = standing(bus, 'users');
    const shared = { ...options, standing: known };
    const breaks: Handler<Question, Answer> = () => {
      bus.emit('breaker', { service: 'users', endpoint: 'e1', from: 'closed', to: 'open' });
      bus.emit('breaker', { service: 'others', endpoint: 'e1', from: 'closed', to: 'open' });
      bus.emit('ejection', { service: 'users', endpoint: 'e9', ejected: true, reason: 'consecutive' });
      return Promise.resolve({ status: 500 });
    };
    const make = (leaf: Handler<Question, Answer>) =>
      compose<Question, Answer>(
        [tracing<Question, Answer>({ ...shared, side: 'client', logicalSpan: true })],
        picking(attemptTracing<Question, Answer>({ ...shared, underTracing: true })(leaf)),
      );
    await make(breaks)(question, clientCall());
    expect(tries()[0]?.events.map(({ name }) => name)).toEqual(['keelson.breaker', 'keelson.ejection']);
    expect(tries()[0]?.attributes).not.toHaveProperty('keelson.breaker.state');
    sdk.reset();
    await make(() => Promise.resolve({ status: 200 }))(question, clientCall());
    expect(tries()[0]?.attributes['keelson.breaker.state']).toBe('open');
    expect(sdk.ofKind('INTERNAL')[0]?.attributes).toMatchObject({
      'keelson.breaker.open': 1,
      'keelson.ejection.count': 1,
    });
    bus.emit('breaker', { service: 'users', endpoint: 'e1', from: 'half-open', to: 'closed' });
    bus.emit('instances', { service: 'users', joined: [], left: ['e9'], size: 1 });
    expect(known.attributes()).toEqual({});
    known.close();
    bus.emit('breaker', { service: 'users', endpoint: 'e1', from: 'closed', to: 'open' });
    expect(known.breakerOf('e1')).toBeUndefined();
  });

  it('a refusal tells who refused and for how long', async () => {
    const refused = compose<Question, Answer>(
      [tracing<Question, Answer>({ ...options, side: 'client' })],
      () =>
        Promise.reject(
          refusal('RATE_LIMITED', 'users: refused', { retryAfterMs: 250, service: 'users', side: 'client' }),
        ),
    );
    await expect(refused(question, clientCall())).rejects.toThrow('refused');
    expect(sdk.spans()[0]?.attributes).toMatchObject({
      'keelson.rejection': 'RATE_LIMITED',
      'keelson.rejection.side': 'client',
      'keelson.rejection.retry_after_ms': 250,
    });
  });
});
