import { type Attributes, type Context, context, trace } from '@opentelemetry/api';
import type { Bus } from '../core/events.js';
import { isUnused } from './open-telemetry.js';

/** How the endpoints of one service stand, as far as they do not stand well. */
export interface Standing {
  /** State of the breaker of an endpoint; `undefined` while it is closed, or has none. */
  breakerOf(endpoint: string): string | undefined;
  /** How many stand badly, for the span of a whole call; empty while none does. */
  attributes(): Attributes;
  /** Stops listening. */
  close(): void;
}

function addEvent(name: string, attributes: Attributes): void {
  if (isUnused()) return;
  const active: Context = context.active();
  const span = trace.getSpan(active);
  if (span?.isRecording()) span.addEvent(name, attributes);
}

/**
 * Listens to what a bus tells of the endpoints of one service, so that spans can say it; and writes each change as an event on
 * the span of the call that caused it: `keelson.breaker`, `keelson.ejection`.
 *
 * Use it once for each client. It remembers only what is out of order, so it holds next to nothing.
 *
 * @param service - whose endpoints
 */
export function standing(bus: Bus, service: string): Standing {
  const breakers = new Map<string, string>();
  const ejected = new Set<string>();
  const forget = (endpoint: string): void => {
    breakers.delete(endpoint);
    ejected.delete(endpoint);
  };
  const stops = [
    bus.on('breaker', ({ service: whose, endpoint = '', from, to }) => {
      if (whose !== service) return;
      if (to === 'closed') breakers.delete(endpoint);
      else breakers.set(endpoint, to);
      addEvent('keelson.breaker', {
        'keelson.endpoint': endpoint,
        'keelson.breaker.from': from,
        'keelson.breaker.state': to,
      });
    }),
    bus.on('ejection', ({ service: whose, endpoint, ejected: out, reason }) => {
      if (whose !== service) return;
      if (out) ejected.add(endpoint);
      else ejected.delete(endpoint);
      addEvent('keelson.ejection', {
        'keelson.endpoint': endpoint,
        'keelson.ejection.ejected': out,
        'keelson.ejection.reason': reason,
      });
    }),
    bus.on('instances', ({ service: whose, left }) => {
      if (whose === service) for (const endpoint of left) forget(endpoint);
    }),
  ];
  return {
    breakerOf: (endpoint) => breakers.get(endpoint),
    attributes: () => ({
      ...(breakers.size > 0 && { 'keelson.breaker.open': breakers.size }),
      ...(ejected.size > 0 && { 'keelson.ejection.count': ejected.size }),
    }),
    close: () => {
      for (const stop of stops) stop();
    },
  };
}
