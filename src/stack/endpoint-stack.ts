import type { EndpointStack } from '../balancer/crew.js';
import { evidence } from '../breaker/evidence.js';
import type { Clock } from '../core/clock.js';
import type { Endpoint } from '../core/endpoint.js';
import type { Bus } from '../core/events.js';
import type { Gate } from '../core/gate.js';
import { compose, type Middleware } from '../core/handler.js';
import { aboutOption } from '../core/in-name-of.js';
import { wrongKind } from '../core/options.js';
import type { Random } from '../core/random.js';
import { isUncalled } from '../core/uncalled.js';
import type { Wire } from '../core/wire.js';
import { attemptTimeout } from '../deadline/attempt-timeout.js';
import { propagateDeadline } from '../deadline/propagate-deadline.js';
import type { Announce, ClientPolicy } from './client-policy.js';

/** What the stacks of all endpoints of one client have in common. */
export interface EndpointStackParts<Req, Res> {
  /** Logical name of the service. */
  readonly service: string;
  /** How calls are carried. */
  readonly wire: Wire<Req, Res>;
  /** How they are governed. */
  readonly policy: ClientPolicy<Req, Res>;
  /** Span and count of an attempt; writes the trace context. */
  readonly telemetry: readonly Middleware<Req, Res>[];
  /** Where state changes are told. */
  readonly bus: Bus;
  /** Tells the time. */
  readonly clock: Clock;
  /** Draws numbers. */
  readonly random: Random;
}

/** Called where the last call of an endpoint ends: a gate of the user's that throws is not that call's fault. */
function disposeOf(gate: Gate): void {
  try {
    gate.dispose?.();
  } catch {
    // See above.
  }
}

/** A gate without its brackets would else be no endpoint at all, and nobody would know why. */
function listOf(gates: readonly Gate[]): readonly Gate[] {
  if (Array.isArray(gates)) return gates;
  throw wrongKind('gates: what it returns', 'an array of gates', gates);
}

function uncalled(factory: string): TypeError {
  return aboutOption(
    new TypeError(
      `gates must be a function that returns an array of gates, got the factory ${factory}; give it as () => [${factory}()]`,
    ),
  );
}

/**
 * Makes what stands behind one endpoint: its gates, and the way of an attempt to the wire.
 *
 * Order, outermost first: span (so that it sees the attempt's own timeout), timeout of the attempt (so that the callee
 * is told the nearer of both deadlines), remaining time as a header, the user's middlewares (signatures have to see
 * every header), the wire.
 */
export function endpointStack<Req, Res>(
  parts: EndpointStackParts<Req, Res>,
): (endpoint: Endpoint) => EndpointStack<Req, Res> {
  const { service, wire, policy, bus, clock, random, telemetry } = parts;
  const { perTryTimeoutMs: perTryMs } = policy;
  const gatesOf = policy.gates ?? ((_endpoint, announce) => [evidence({ random, onTransition: announce })]);
  const around: readonly (Middleware<Req, Res> | undefined)[] = [
    ...telemetry,
    perTryMs === undefined ? undefined : attemptTimeout({ perTryMs, protocol: wire.protocol, clock }),
    // Nothing above waits.
    wire.tellsDeadline ? undefined : propagateDeadline({ clock, from: 'pick' }),
    ...(policy.useAttempt ?? []),
  ];
  const gatesFor = (endpoint: Endpoint, announce: Announce): readonly Gate[] => {
    try {
      return gatesOf(endpoint, announce);
    } catch (fault) {
      throw isUncalled(gatesOf, fault) ? uncalled(gatesOf.name) : fault;
    }
  };
  return (endpoint) => {
    const announce = (from: string, to: string): void => {
      bus.emit('breaker', { service, endpoint: endpoint.id, from, to });
    };
    const connection = wire.connect(endpoint);
    try {
      const gates = listOf(gatesFor(endpoint, announce));
      const close = (): void => {
        connection.close();
        for (const gate of gates) disposeOf(gate);
      };
      return { gates, handler: compose(around, connection.handler), close };
    } catch (fault) {
      // Nobody will use it, and so nobody else would.
      connection.close();
      throw fault;
    }
  };
}
