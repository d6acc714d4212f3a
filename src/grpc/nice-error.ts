/** What nice-grpc takes for its `ServerError`, from whichever copy of it. */
interface Tagged {
  readonly name?: unknown;
  readonly '@@nice-grpc'?: unknown;
  readonly '@@nice-grpc:ServerError'?: unknown;
}

/** Whether nice-grpc knows what to answer: a `ServerError`, or an abort. */
export function isNiceError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { name, '@@nice-grpc': nice, '@@nice-grpc:ServerError': tagged } = error as Tagged;
  return tagged === true || (nice === true && name === 'ServerError') || name === 'AbortError';
}

/** An error that nice-grpc answers with this status. Its own class would make it a dependency. */
export function niceError(code: number, details: string): Error {
  return Object.assign(new Error(details), { name: 'ServerError', '@@nice-grpc': true, code, details });
}
