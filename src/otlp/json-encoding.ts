import type { InstrumentationScope } from '../tracer/ended-span.js';
import type { Resource } from '../tracer/resource.js';
import { jsonAttributes } from './attribute-json.js';
import { ByteWriter } from './byte-writer.js';
import { byScope, type Encoding, type Half, requestBytes } from './encoding.js';
import { writeMetricJson } from './metric-json.js';
import { ownBytes } from './own-bytes.js';
import { spanJson } from './span-json.js';

const resourceJson = ({ attributes }: Resource): string =>
  `"resource":{"attributes":${JSON.stringify(jsonAttributes(attributes).attributes)}}`;

const scopeJson = ({ name, version }: InstrumentationScope): string =>
  `"scope":${JSON.stringify({ name, version: version || undefined })}`;

const schemaJson = (url: string | undefined): string =>
  url === undefined || url === '' ? '' : `,"schemaUrl":${JSON.stringify(url)}`;

interface JsonScope {
  readonly spans: readonly unknown[];
}
interface JsonResource {
  readonly scopeSpans: readonly JsonScope[];
}
interface JsonRequest {
  readonly resourceSpans: readonly JsonResource[];
}

/** The spans from one to another; what is empty then is left out. */
function half(request: JsonRequest, from: number, to: number): Half {
  let at = 0;
  const resourceSpans = request.resourceSpans.flatMap((resource) => {
    const scopeSpans = resource.scopeSpans.flatMap((scope) => {
      const begin = at;
      at += scope.spans.length;
      const spans = scope.spans.slice(Math.max(0, from - begin), Math.max(0, to - begin));
      return spans.length > 0 ? [{ ...scope, spans }] : [];
    });
    return scopeSpans.length > 0 ? [{ ...resource, scopeSpans }] : [];
  });
  return { body: ownBytes(Buffer.from(JSON.stringify({ resourceSpans }))), spans: to - from };
}

/** OTLP in JSON: more than twice as long, and readable by people. */
export const jsonEncoding: Encoding = {
  name: 'json',
  contentType: 'application/json',
  writeSpan(out, span) {
    const between = out.at === 0 ? '' : ',';
    out.utf8(between + spanJson(span, out.left - between.length));
  },
  traceRequest(shelves) {
    const out = new ByteWriter(requestBytes(shelves));
    out.utf8('{"resourceSpans":[');
    let between = '';
    for (const [resource, scopes] of shelves) {
      out.utf8(`${between}{${resourceJson(resource)},"scopeSpans":[`);
      between = '';
      for (const [scope, spans] of scopes) {
        out.utf8(`${between}{${scopeJson(scope)},"spans":[`);
        out.raw(spans.written);
        out.utf8(`]${schemaJson(scope.schemaUrl)}}`);
        between = ',';
      }
      out.utf8(`]${schemaJson(resource.schemaUrl)}}`);
      between = ',';
    }
    out.utf8(']}');
    return ownBytes(out.written);
  },
  *metricRequest(resource, metrics) {
    const out = new ByteWriter();
    out.utf8(`{"resourceMetrics":[{${resourceJson(resource)},"scopeMetrics":[`);
    let betweenScopes = '';
    for (const [scope, list] of byScope(metrics)) {
      out.utf8(`${betweenScopes}{${scopeJson(scope)},"metrics":[`);
      betweenScopes = ',';
      let between = '';
      for (const metric of list) {
        out.utf8(between);
        between = ',';
        yield* writeMetricJson(out, metric);
      }
      out.utf8(`]${schemaJson(scope.schemaUrl)}}`);
    }
    out.utf8(`]${schemaJson(resource.schemaUrl)}}]}`);
    return ownBytes(out.written);
  },
  reply(body) {
    try {
      const { partialSuccess } = JSON.parse(body.toString()) as {
        readonly partialSuccess?: Readonly<Record<string, unknown>> | null;
      };
      const rejected = Number(
        partialSuccess?.['rejectedSpans'] ?? partialSuccess?.['rejectedDataPoints'] ?? 0,
      );
      const message = partialSuccess?.['errorMessage'];
      return {
        rejected: Number.isFinite(rejected) ? rejected : 0,
        message: typeof message === 'string' ? message : '',
      };
    } catch {
      return undefined;
    }
  },
  halves(body) {
    const request = JSON.parse(body.toString()) as JsonRequest;
    const spans = request.resourceSpans.reduce(
      (sum, { scopeSpans }) => sum + scopeSpans.reduce((count, scope) => count + scope.spans.length, 0),
      0,
    );
    if (spans < 2) return undefined;
    const middle = spans >> 1;
    return [half(request, 0, middle), half(request, middle, spans)];
  },
};
