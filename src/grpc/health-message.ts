import { ProtobufReader } from '../http/protobuf-reader.js';

/** A question of the health service: which service is meant; `''` for the server as a whole. */
export interface HealthRequest {
  /** Full name, `helloworld.Greeter`. */
  readonly service: string;
}

/** What the health service answers. */
export interface HealthResponse {
  /** One of {@link servingStatus}. */
  readonly status: number;
}

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
export const servingStatus = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

/** Both messages have one field, of this number. */
const field = 1;

/** The last value of our field, whatever other fields there are. */
function read(bytes: Uint8Array): Buffer | number | undefined {
  const reader = new ProtobufReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  let found: Buffer | number | undefined;
  while (!reader.done) {
    const tag = reader.varint();
    const content = reader.content(tag % 8);
    if (Math.floor(tag / 8) === field) found = content;
  }
  return found;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) + 0x80, ...varint(Math.floor(value / 0x80))];
}

/** @throws Error for bytes that are no protobuf message */
export function readHealthRequest(bytes: Uint8Array): HealthRequest {
  const found = read(bytes);
  return { service: found instanceof Uint8Array ? found.toString() : '' };
}

/** Writes a question. */
export function writeHealthRequest({ service }: HealthRequest): Buffer {
  const name = Buffer.from(service);
  return name.length === 0
    ? Buffer.alloc(0)
    : Buffer.concat([Buffer.from([field * 8 + 2, ...varint(name.length)]), name]);
}

/** @throws Error for bytes that are no protobuf message */
export function readHealthResponse(bytes: Uint8Array): HealthResponse {
  const found = read(bytes);
  return { status: typeof found === 'number' ? found : servingStatus.UNKNOWN };
}

/** Writes an answer. */
export function writeHealthResponse({ status }: HealthResponse): Buffer {
  return status === servingStatus.UNKNOWN ? Buffer.alloc(0) : Buffer.from([field * 8, ...varint(status)]);
}
