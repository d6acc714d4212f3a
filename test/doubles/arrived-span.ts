import type { Tree } from './otlp-schema.js';

const kinds = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const;

/** A span with who made it. */
export interface SeenSpan {
  readonly resource: Record<string, unknown>;
  readonly scope: Tree;
  readonly attributes: Record<string, unknown>;
  /** As the tree of OTLP/JSON. */
  readonly span: Tree;
}

/** A span as it arrived, in plain words. */
export interface ArrivedSpan {
  readonly name: string;
  readonly kind: (typeof kinds)[number];
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** Whole numbers as numbers. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status: number;
  readonly events: readonly string[];
  readonly scope: string;
  readonly service: string;
}

function withNumbers(value: unknown): unknown {
  return Array.isArray(value) ? value.map(withNumbers) : typeof value === 'bigint' ? Number(value) : value;
}

/** Says a span that a collector has taken in plain words. */
export function arrivedSpan({ resource, scope, span, attributes }: SeenSpan): ArrivedSpan {
  const { name, kind = 0, traceId, spanId, parentSpanId, status, events = [] } = span;
  return {
    name,
    kind: kinds[kind] ?? 'UNSPECIFIED',
    traceId,
    spanId,
    parentSpanId: parentSpanId === '' ? undefined : parentSpanId,
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([key, value]) => [key, withNumbers(value)] as const),
    ),
    status: status?.code ?? 0,
    events: events.map((event: { readonly name: string }) => event.name),
    scope: scope?.name ?? '',
    service: String(resource['service.name']),
  };
}
