import type { Attributes, MeterProvider } from '@opentelemetry/api';
import { type Observation, type ObservedInstrument, observe, type Tell } from './observed.js';

/** What is shown of one endpoint of a client. */
export interface ShownEndpoint {
  /** Which one. */
  readonly id: string;
  /** Calls under way to it. */
  readonly inflight: number;
  /** What the balancer's meter says. */
  readonly load: number | undefined;
  /** Whether it is out of the picks. */
  readonly ejected: boolean;
  /** State of its breaker, and the share of calls that it would refuse now; `undefined` without one that tells. */
  readonly breaker: { readonly state: string; readonly refusalRatio: number } | undefined;
}

/** What is shown of one client. */
export interface ShownClient {
  /** Whom it calls. */
  readonly service: string;
  /** Whom it can pick. */
  readonly endpoints: readonly ShownEndpoint[];
  /** Further tries: how many its budget would allow now, has allowed, has refused; and those of them that were hedges. */
  readonly tries: {
    /** Now. */
    readonly available: number;
    /** So far. */
    readonly withdrawn: number;
    /** So far. */
    readonly refused: number;
    /** So far. */
    readonly hedges: number;
  };
}

/** What is shown of one limit. */
export interface ShownLimiter {
  /** Whose calls it limits: the server's own name, of a client that of its callee. */
  readonly service: string;
  /** At which end. */
  readonly side: 'client' | 'server';
  /** Which of its limits. */
  readonly name: string;
  /** What may be in flight; `undefined` or `Infinity` for no limit. */
  readonly limit: number | undefined;
  /** What is in flight. */
  readonly inflight: number | undefined;
  /** Calls that wait. */
  readonly queued: number | undefined;
}

/** What the parts of an app or stack tell of themselves. */
export interface GovernanceState {
  /** One entry for each client; several of one service are shown as one. */
  readonly clients: readonly ShownClient[];
  /** One entry for each limit. */
  readonly limiters: readonly ShownLimiter[];
}

/** Options of {@link governanceGauges}. */
export interface GovernanceGaugesOptions {
  /**
   * Whether each endpoint is shown by itself too: `keelson.endpoint.inflight` and `keelson.endpoint.load`. With each
   * deployment these are new series.
   *
   * @defaultValue `false`
   */
  readonly perEndpoint?: boolean | undefined;
  /**
   * Makes the instruments.
   *
   * @defaultValue the one that is registered globally
   */
  readonly meterProvider?: MeterProvider | undefined;
}

/** Defaults of {@link GovernanceGaugesOptions}. */
export const governanceGaugesDefaults = { perEndpoint: false, meterProvider: undefined } as const;

const gauge = (name: string, unit: string, description: string): ObservedInstrument => ({
  kind: 'gauge',
  name,
  unit,
  description,
});
const counter = (name: string, unit: string, description: string): ObservedInstrument => ({
  kind: 'counter',
  name,
  unit,
  description,
});

const instrumentsOf = () => ({
  endpoints: gauge('keelson.endpoints', '{endpoint}', 'Endpoints by whether they can be picked.'),
  breakers: gauge('keelson.breaker.endpoints', '{endpoint}', 'Endpoints by the state of their breaker.'),
  refusal: gauge(
    'keelson.breaker.refusal_ratio',
    '1',
    'Share of calls that breakers would refuse, on average.',
  ),
  budget: gauge('keelson.retry.budget', '{attempt}', 'Further tries that the budget would allow.'),
  withdrawn: counter('keelson.retry.withdrawn', '{attempt}', 'Further tries that the budget has allowed.'),
  exhausted: counter('keelson.retry.exhausted', '{attempt}', 'Further tries that the budget has refused.'),
  hedges: counter('keelson.hedges', '{attempt}', 'Second copies of slow calls.'),
  limit: gauge('keelson.limiter.limit', '{call}', 'What may be in flight.'),
  inflight: gauge('keelson.limiter.inflight', '{call}', 'What is in flight.'),
  queued: gauge('keelson.limiter.queued', '{call}', 'Calls that wait for their turn.'),
  endpointInflight: gauge('keelson.endpoint.inflight', '{call}', 'Calls under way to one endpoint.'),
  endpointLoad: gauge('keelson.endpoint.load', '1', "What the balancer's meter says of one endpoint."),
});

type Key = keyof ReturnType<typeof instrumentsOf>;

/** Clients of one service as one: two series with the same attributes would be one that contradicts itself. */
function byService(clients: readonly ShownClient[]): Map<string, ShownClient[]> {
  const grouped = new Map<string, ShownClient[]>();
  for (const client of clients) {
    const known = grouped.get(client.service);
    if (known === undefined) grouped.set(client.service, [client]);
    else known.push(client);
  }
  return grouped;
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}

function tellBreakers(endpoints: readonly ShownEndpoint[], attributes: Attributes, tell: Tell<Key>): void {
  const breakers = endpoints.flatMap(({ breaker }) => breaker ?? []);
  if (breakers.length === 0) return;
  // All states, so that one that nobody is in any more is told as 0 and does not stand still.
  const states = new Map([
    ['closed', 0],
    ['open', 0],
    ['half-open', 0],
    ...countBy(breakers, ({ state }) => state),
  ]);
  for (const [state, count] of states)
    tell('breakers', count, { ...attributes, 'keelson.breaker.state': state });
  const sum = breakers.reduce((total, { refusalRatio }) => total + refusalRatio, 0);
  tell('refusal', sum / breakers.length, attributes);
}

function tellEndpoints(service: string, endpoints: readonly ShownEndpoint[], tell: Tell<Key>): void {
  const loads = new Map<string, ShownEndpoint>();
  for (const endpoint of endpoints) {
    const known = loads.get(endpoint.id);
    const inflight = endpoint.inflight + (known?.inflight ?? 0);
    loads.set(endpoint.id, { ...endpoint, inflight });
  }
  for (const { id, inflight, load } of loads.values()) {
    const attributes = { 'keelson.service': service, 'keelson.endpoint': id };
    tell('endpointInflight', inflight, attributes);
    if (load !== undefined) tell('endpointLoad', load, attributes);
  }
}

function tellClients(service: string, clients: readonly ShownClient[], tell: Tell<Key>): void {
  const attributes = { 'keelson.service': service };
  const endpoints = clients.flatMap((client) => client.endpoints);
  const out = endpoints.filter(({ ejected }) => ejected).length;
  tell('endpoints', endpoints.length - out, { ...attributes, 'keelson.endpoint.state': 'available' });
  tell('endpoints', out, { ...attributes, 'keelson.endpoint.state': 'ejected' });
  tellBreakers(endpoints, attributes, tell);
  const sumOf = (field: keyof ShownClient['tries']): number =>
    clients.reduce((sum, { tries }) => sum + tries[field], 0);
  tell('budget', sumOf('available'), attributes);
  tell('withdrawn', sumOf('withdrawn'), attributes);
  tell('exhausted', sumOf('refused'), attributes);
  tell('hedges', sumOf('hedges'), attributes);
}

function tellLimiter({ service, side, name, limit, inflight, queued }: ShownLimiter, tell: Tell<Key>): void {
  const attributes = { 'keelson.service': service, 'keelson.side': side, 'keelson.limiter': name };
  if (limit !== undefined) tell('limit', limit, attributes);
  if (inflight !== undefined) tell('inflight', inflight, attributes);
  if (queued !== undefined) tell('queued', queued, attributes);
}

/**
 * Shows how limits, breakers, balancers and retry budgets stand: `keelson.endpoints`, `keelson.breaker.endpoints`,
 * `keelson.breaker.refusal_ratio`, `keelson.retry.*`, `keelson.hedges`, `keelson.limiter.*`. Read only when a reader
 * collects.
 *
 * Why calls were refused is counted where they are: `keelson.rejections` and, of requests that never became calls,
 * `keelson.rejected`.
 *
 * @param read - how everything stands at this moment
 */
export function governanceGauges(
  read: () => GovernanceState,
  options: GovernanceGaugesOptions = {},
): Observation {
  const { perEndpoint = governanceGaugesDefaults.perEndpoint, meterProvider } = options;
  return observe<Key>(
    {
      instruments: instrumentsOf(),
      read: (tell) => {
        const { clients, limiters } = read();
        for (const [service, group] of byService(clients)) {
          tellClients(service, group, tell);
          if (perEndpoint)
            tellEndpoints(
              service,
              group.flatMap(({ endpoints }) => endpoints),
              tell,
            );
        }
        for (const limiter of limiters) tellLimiter(limiter, tell);
      },
    },
    meterProvider,
  );
}
