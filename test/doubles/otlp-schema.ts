import protobuf from 'protobufjs';

/**
 * The messages of OTLP 1.10 that are used here, written down from the published definitions; nothing of it is shared with
 * what encodes. Checked against the serializer of the OpenTelemetry SDK by a test.
 */
const schema = `
syntax = "proto3";
package otlp;

message AnyValue {
  oneof value {
    string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
    ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7;
  }
}
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message InstrumentationScope {
  string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
}
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }

message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
message ScopeSpans { InstrumentationScope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; fixed32 flags = 16;
  string name = 5; int32 kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
  repeated Event events = 11; uint32 dropped_events_count = 12;
  repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15;
  message Event {
    fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
  }
  message Link {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated KeyValue attributes = 4;
    uint32 dropped_attributes_count = 5; fixed32 flags = 6;
  }
}
message Status { string message = 2; int32 code = 3; }
message ExportTraceServiceResponse { TracePartial partial_success = 1; }
message TracePartial { int64 rejected_spans = 1; string error_message = 2; }

message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
message ScopeMetrics { InstrumentationScope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message Metric {
  string name = 1; string description = 2; string unit = 3;
  oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10; }
}
message Gauge { repeated NumberDataPoint data_points = 1; }
message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Histogram { repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
message ExponentialHistogram {
  repeated ExponentialHistogramDataPoint data_points = 1; int32 aggregation_temporality = 2;
}
message NumberDataPoint {
  repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; }
  repeated Exemplar exemplars = 5; uint32 flags = 8;
}
message HistogramDataPoint {
  repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  fixed64 count = 4; optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
  repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11; optional double max = 12;
}
message ExponentialHistogramDataPoint {
  repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  fixed64 count = 4; optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7;
  Buckets positive = 8; Buckets negative = 9; uint32 flags = 10; repeated Exemplar exemplars = 11;
  optional double min = 12; optional double max = 13; double zero_threshold = 14;
  message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
}
message Exemplar {
  repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
  oneof value { double as_double = 3; sfixed64 as_int = 6; }
  bytes span_id = 4; bytes trace_id = 5;
}
message ExportMetricsServiceResponse { MetricsPartial partial_success = 1; }
message MetricsPartial { int64 rejected_data_points = 1; string error_message = 2; }

message Any { string type_url = 1; bytes value = 2; }
message RpcStatus { int32 code = 1; string message = 2; repeated Any details = 3; }
message Duration { int64 seconds = 1; int32 nanos = 2; }
message RetryInfo { Duration retry_delay = 1; }
`;

const { root } = protobuf.parse(schema, { keepCase: false });

/** A JSON-like tree, as a receiver of OTLP/JSON gets it too: ids in hex, 64-bit numbers as text. */
// biome-ignore lint/suspicious/noExplicitAny: a tree of messages, whose fields tests name
export type Tree = any;

const hexFields = new Set(['traceId', 'spanId', 'parentSpanId']);

/** Bytes become base64 by protobufjs; ids are in hex in OTLP. */
function withHexIds(value: Tree): Tree {
  if (Array.isArray(value)) return value.map(withHexIds);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) =>
      hexFields.has(name)
        ? [name, Buffer.from(item as string, 'base64').toString('hex')]
        : [name, withHexIds(item)],
    ),
  );
}

/** Decodes a message of protobuf into the tree that OTLP/JSON has for it. Throws for what is none. */
export function decode(type: string, bytes: Uint8Array): Tree {
  const message = root.lookupType(`otlp.${type}`);
  return withHexIds(
    message.toObject(message.decode(bytes), { longs: String, bytes: String, defaults: false, json: true }),
  );
}

const { Reader } = protobuf;

/** The ids of all spans of a request, for tests with very many: nothing else of it is decoded. */
export function spanIdsOf(bytes: Uint8Array): string[] {
  const ids: string[] = [];
  // Each list on the way is field 1 or 2: resource spans (1), scope spans (2), spans (2); in a span the id is field 2.
  const walk = (reader: protobuf.Reader, end: number, path: readonly number[]): void => {
    const [field, ...below] = path;
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag >>> 3 !== field) reader.skipType(tag & 7);
      else if (below.length === 0) ids.push(Buffer.from(reader.bytes()).toString('hex'));
      else {
        const length = reader.uint32();
        walk(reader, reader.pos + length, below);
      }
    }
  };
  walk(Reader.create(bytes), bytes.length, [1, 2, 2, 2]);
  return ids;
}

/** Encodes a tree, bytes in base64. */
export function encode(type: string, tree: Tree): Buffer {
  const message = root.lookupType(`otlp.${type}`);
  return Buffer.from(message.encode(message.fromObject(tree)).finish());
}
