/** How much of what a view keeps may lie beside it. */
const slack = 0.125;

/**
 * Bytes that are going to be kept: the same, or a copy where they are a view that keeps a good part more. What waits in memory
 * is counted by its length.
 */
export function ownBytes(view: Buffer): Buffer {
  if (view.buffer.byteLength <= view.length * (1 + slack)) return view;
  // Not from the platform's pool, which is such a larger part: 8 KiB, of Node 24 on 64.
  const own = Buffer.allocUnsafeSlow(view.length);
  own.set(view);
  return own;
}
