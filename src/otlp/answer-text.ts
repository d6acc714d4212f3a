import { fieldOf } from './message-fields.js';

/** Longest explanation that is read. */
const longest = 2_000;

/** `google.rpc.Status` has its message in field 2. */
function fromMessage(body: Buffer): string {
  const message = fieldOf(body, 2);
  return Buffer.isBuffer(message) ? message.toString() : '';
}

function fromJson(body: Buffer): string {
  const { message } = JSON.parse(body.toString()) as { readonly message?: unknown };
  return typeof message === 'string' ? message : '';
}

/** What the body of an error says to people. */
export function answerText(body: Buffer, contentType: string | undefined): string {
  try {
    if (contentType?.includes('protobuf')) return fromMessage(body).slice(0, longest);
    if (contentType?.includes('json')) return fromJson(body).slice(0, longest);
  } catch {
    // Then as it stands there.
  }
  return body.subarray(0, longest).toString();
}
