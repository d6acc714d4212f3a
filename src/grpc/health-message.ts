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

const malformed = (): Error => new Error('malformed health message');

/** Reads protobuf from front to back. */
class Reader {
  private at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      // By multiplication: bits beyond the 32nd are lost in shifts.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed();
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw malformed();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** The content of a field that is nobody's, or ours: bytes or a number. */
  content(wireType: number): Uint8Array | number {
    if (wireType === 0) return this.varint();
    if (wireType === 1) return this.take(8);
    if (wireType === 2) return this.take(this.varint());
    if (wireType === 5) return this.take(4);
    throw malformed();
  }
}

/** The last value of our field, whatever other fields there are. */
function read(bytes: Uint8Array): Uint8Array | number | undefined {
  const reader = new Reader(bytes);
  let found: Uint8Array | number | undefined;
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
  return { service: found instanceof Uint8Array ? Buffer.from(found).toString() : '' };
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
