import { type MeterProvider, ROOT_CONTEXT } from '@opentelemetry/api';
import { type RejectionCode, rejections } from '../core/errors.js';
import { type HttpServerExchange, httpServerSemantics, servedAttributes } from './http-server-semantics.js';
import { adviceOf } from './metrics.js';
import { lazyInstruments } from './open-telemetry.js';
import { peerNameOf } from './service-name.js';
import { describe } from './span-record.js';

/** A request that was refused before a call was made of it. */
export interface HttpRefusal {
  /** What came in. */
  readonly req: HttpServerExchange['req'];
  /** Why it was refused, and so with which status. */
  readonly code: RejectionCode;
  /** `GET /users/:id`. */
  readonly operation: string;
  /** Who sent it, if that is known. */
  readonly caller: string | undefined;
}

/**
 * Counts requests that no middleware hears of in `http.server.request.duration`, with the attributes that they would have
 * had as calls: else rates and errors of a server are wrong just when it is overloaded. They took no time.
 *
 * @param meterProvider - makes the instrument; without it the one that is registered globally, looked up at each request
 */
export function httpRefusals(meterProvider?: MeterProvider): (refusal: HttpRefusal) => void {
  const { duration } = httpServerSemantics;
  const instrument = lazyInstruments(
    (meter) => meter.createHistogram(duration.name, adviceOf(duration)),
    meterProvider,
  );
  return ({ req, code, operation, caller }) => {
    const histogram = instrument();
    if (histogram === undefined) return;
    describe(() => {
      const res = { statusCode: rejections[code].http };
      const attributes = servedAttributes({ req, res }, { operation });
      const type = httpServerSemantics.errorType({ req, res });
      if (type !== undefined) attributes['error.type'] = type;
      attributes['service.peer.name'] = peerNameOf(caller);
      // What runs now is the connection, in whose context there is no span of this request.
      histogram.record(0, attributes, ROOT_CONTEXT);
    });
  };
}
