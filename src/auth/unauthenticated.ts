/** HTTP. */
const unauthorized = 401;
/** gRPC. */
const unauthenticated = 16;

interface Ended {
  readonly status?: unknown;
  readonly code?: unknown;
  readonly headers?: unknown;
  readonly response?: unknown;
}

const isObject = (value: unknown): value is Ended => typeof value === 'object' && value !== null;

/** By its headers an answer is known for one of HTTP: a message of gRPC may well have a field `status` or `code` of its own. */
function isUnauthorized(response: unknown): boolean {
  return isObject(response) && response.status === unauthorized && isObject(response.headers);
}

/** Whether an answer or an error says that the caller did not show who it is: of fetch, axios, gRPC, by their form. */
export function isUnauthenticated(response: unknown, error: unknown): boolean {
  if (isUnauthorized(response)) return true;
  if (!isObject(error)) return false;
  return error.code === unauthenticated || error.status === unauthorized || isUnauthorized(error.response);
}
