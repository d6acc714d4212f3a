import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { wrongKind } from '../core/options.js';
import type { Exposed } from '../meter/exposition.js';

/** What writes metrics as text; {@link Telemetry} does. */
export interface MetricsText {
  /**
   * Collects, and writes what there is at this moment.
   *
   * @param accept - header of whoever asks: Prometheus text or OpenMetrics
   */
  metricsText(accept?: string): Promise<Exposed>;
}

/** Answers who scrapes. Takes what `node:http` and `node:http2` have, and so what Express and Nest give their handlers. */
export type MetricsHandler = (
  req: IncomingMessage | Http2ServerRequest,
  res: ServerResponse | Http2ServerResponse,
) => void;

const zip = promisify(gzip);
/** Less is not worth it. */
const leastZipped = 1400;

/** Whether a peer takes gzip, and does not refuse it by a weight of zero. */
function takesGzip(accepted: string | readonly string[] | undefined): boolean {
  const codings = String(accepted ?? '').replaceAll(/\s/g, '');
  return codings.split(',').some((coding) => /^(gzip|\*)(;q=(?!0(\.0*)?$)[\d.]+)?$/i.test(coding));
}

async function answer(source: MetricsText, req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  const { contentType, body } = await source.metricsText(req.headers.accept);
  const zipped = body.length >= leastZipped && takesGzip(req.headers['accept-encoding']);
  const bytes = zipped ? await zip(body) : Buffer.from(body);
  res.setHeader('content-type', contentType);
  res.setHeader('vary', 'accept, accept-encoding');
  if (zipped) res.setHeader('content-encoding', 'gzip');
  res.setHeader('content-length', bytes.length);
  res.end(req.method === 'HEAD' ? undefined : bytes);
}

/** Whoever scrapes sees that something is wrong; what it is, is nobody's business outside. */
function fail(res: ServerResponse): void {
  if (res.headersSent) res.destroy();
  else res.writeHead(500, { 'content-type': 'text/plain' }).end('metrics could not be collected\n');
}

/**
 * Makes a handler that answers with the metrics of a process, as Prometheus text or OpenMetrics, by what the client accepts;
 * compressed where it takes that.
 *
 * Use it on a port that is not open to the world. As it is in `node:http`, Express and Nest:
 * `app.get('/metrics', metricsHandler(t))`. Elsewhere `t.metricsText(accept)` gives type and text: Fastify
 * `reply.type(contentType).send(body)`, Koa `ctx.type`, `ctx.body`, Hono `c.body(body, 200, { 'content-type': contentType })`.
 *
 * @throws TypeError for what has no metrics
 * @example
 * ```ts
 * http.createServer(metricsHandler(telemetry({ service: 'orders', metrics: true }))).listen(9464);
 * ```
 */
export function metricsHandler(source: MetricsText): MetricsHandler {
  if (typeof source?.metricsText !== 'function')
    throw wrongKind('metricsHandler: the first argument', 'a telemetry, as telemetry() makes it', source);
  const handle = (req: IncomingMessage, res: ServerResponse): void => {
    answer(source, req, res).catch(() => fail(res));
  };
  return handle as MetricsHandler;
}
