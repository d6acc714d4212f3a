import type { Attributes } from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import { handOn } from '../core/receiver.js';
import { type CallValues, callKey } from '../core/values.js';

/** When an inbound call came, and when its handler began; milliseconds on the clock's scale. */
export class Arrival {
  /** `undefined` while it waits, and for one that was refused. */
  beganAt: number | undefined = undefined;
  /** What was left of its time when its handler began; milliseconds, `Infinity` without a deadline. */
  leftMs = Number.POSITIVE_INFINITY;

  constructor(readonly cameAt: number) {}

  /** How long it waited for its turn. */
  get waitMs(): number | undefined {
    return this.beganAt === undefined ? undefined : Math.max(0, this.beganAt - this.cameAt);
  }

  /** What a span says of it. */
  attributes(): Attributes {
    const { waitMs, leftMs } = this;
    return {
      ...(waitMs !== undefined && { 'keelson.queue.wait_ms': waitMs }),
      ...(Number.isFinite(leftMs) && { 'keelson.deadline.left_ms': leftMs }),
    };
  }
}

const arrivalKey = callKey<Arrival>('keelson.arrival');

/** What is known of a call's arrival, if somebody wants to know. */
export function arrivalOf(values: CallValues): Arrival | undefined {
  return values.get(arrivalKey);
}

/** Notes when a call came, for a span or a line of log; the first note stays. */
export function noteArrival(values: CallValues, clock: Clock): Arrival {
  const known = values.get(arrivalKey);
  if (known !== undefined) return known;
  const arrival = new Arrival(clock.now());
  values.set(arrivalKey, arrival);
  return arrival;
}

/**
 * Notes when the handler of a call begins, and what is left of its time then, if its span or the access log wants to know.
 *
 * Use it in a server stack right behind what calls wait in, with `tracing` or an access log outside. Without either it
 * looks once and does nothing.
 */
export function admitted<Req, Res>({ clock }: { readonly clock: Clock }): Middleware<Req, Res> {
  return (next) =>
    handOn(next, (call) => {
      const arrival = call.values.get(arrivalKey);
      if (arrival !== undefined) {
        const now = clock.now();
        arrival.beganAt = now;
        arrival.leftMs = call.deadline - now;
      }
      return call;
    });
}
