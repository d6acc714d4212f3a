const tags: ReadonlySet<string> = new Set([
  'Blob',
  'File',
  'FormData',
  'URLSearchParams',
  'ArrayBuffer',
  'SharedArrayBuffer',
]);

/**
 * Whether a request body can be sent a second time: everything that holds its bytes can; a stream, an iterable and what is
 * not known cannot. Told by tag, not by class: every implementation of `fetch` has its own `FormData`.
 */
export function isReplayable(body: unknown): boolean {
  if (body === undefined || body === null || typeof body === 'string') return true;
  if (typeof body !== 'object') return false;
  return (
    ArrayBuffer.isView(body) ||
    tags.has((body as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] ?? '')
  );
}
