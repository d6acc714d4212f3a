import { roundRobin } from 'keelson/balancer';
import { cancelledBy, compose, createCall } from 'keelson/core';
import { staticEndpoints } from 'keelson/discovery';
import { concurrency } from 'keelson/limiter';
import { clientStack } from 'keelson/stack';
import { httpClientSemantics } from 'keelson/telemetry';
import { awaited } from '../harness.mjs';
import { answerTo } from './baselines.mjs';

const request = { method: 'GET', path: '/users/42', init: undefined };
const resolver = staticEndpoints({
  users: ['http://10.0.0.1:80', 'http://10.0.0.2:80', 'http://10.0.0.3:80'],
});

/** @type {import('keelson/core').Protocol<typeof request, number>} */
const protocol = {
  classify: (_response, error) => (error === undefined ? 'success' : 'failure'),
  replay: (again) => again,
};

/** Sends nothing. @type {import('keelson/core').Wire<typeof request, number>} */
const wire = { protocol, schemes: ['http'], connect: () => ({ handler: answerTo, close: () => undefined }) };

/** As a wire makes it for each call. @param {import('keelson/core').Cancellation} [cancel] */
function callOf(cancel) {
  return createCall({
    side: 'client',
    service: 'users',
    operation: 'GET /users/:id',
    idempotent: true,
    ...(cancel && { cancel }),
  });
}

/** @typedef {Partial<import('keelson/stack').ClientStackOptions<typeof request, number>>} Options */

/** No layer that can be left out. @type {Options} */
const least = { balancer: undefined, gates: () => [], retry: false, timeoutMs: Number.POSITIVE_INFINITY };

/** @param {Options} options @param {import('keelson/core').Cancellation} [cancel] */
function callsBy(options, cancel) {
  const balancer = 'balancer' in options ? (options.balancer ?? roundRobin()) : undefined;
  const stack = clientStack({ resolver, service: 'users', wire, ...options, balancer });
  return { stack, batch: awaited(() => stack.handler(request, callOf(cancel))) };
}

/** @type {any} the attributes that it makes of requests and responses are for an SDK, and there is none */
const semantics = httpClientSemantics;
/** What {@link clientStack} makes when it is asked for nothing. */
const full = { semantics, caller: 'orders' };

/** Outermost last, each with all those before it. @type {readonly [id: string, name: string, options: Options][]} */
const layers = [
  ['client.least', 'clientStack: call and leaf, round robin', least],
  ['client.balancer', '+ standardBalancer', { ...without(least, 'balancer') }],
  ['client.breaker', '+ evidence per endpoint', { ...without(least, 'balancer', 'gates') }],
  ['client.retry', '+ retry with budget', { ...without(least, 'balancer', 'gates', 'retry') }],
  ['client.deadline', '+ deadline of 10 s', {}],
  ['client.full', '+ tracing and metrics, no SDK = clientStack, all defaults', full],
];

/** @param {Options} options @param {...keyof Options} names @returns {Options} */
function without(options, ...names) {
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => !names.includes(/** @type {any} */ (name))),
  );
}

/** @type {readonly (readonly [id: string, name: string, options: Options])[]} */
const extras = [
  ['client.limit', 'full + one concurrency limit', { ...full, limits: [concurrency({ limit: 100 })] }],
  ['client.perTry', 'full + perTryTimeoutMs', { ...full, perTryTimeoutMs: 1000 }],
  ['client.hedge', 'full + hedge', { ...full, hedge: {} }],
];

/** A client stack over a wire that answers by itself, layer by layer. @returns {import('../harness.mjs').Subject} */
export function clientStacks() {
  const known = [...layers, ...extras].map(([id, name, options]) => ({ id, name, ...callsBy(options) }));
  const abortable = callsBy(full, cancelledBy(new AbortController().signal));
  /** @type {import('keelson/core').Middleware<unknown, number>} */
  const through = (next) => (message, call) => next(message, call);
  const onion = compose([through, through, through, through, through], answerTo);
  const call = callOf();
  return {
    title: 'Client stack over a stub wire, 3 endpoints',
    cases: [
      {
        id: 'onion.5',
        name: 'compose, 5 middlewares that pass on',
        batch: awaited(() => onion(request, call)),
      },
      { id: 'call', name: 'createCall, fn()', batch: awaited(() => answerTo(request, callOf())) },
      ...known.map(({ id, name, batch }) => ({ id, name, batch })),
      { id: 'client.abortable', name: 'full, the caller gives an AbortSignal', batch: abortable.batch },
    ],
    close: () => {
      for (const { stack } of [...known, abortable]) stack.close();
    },
  };
}
