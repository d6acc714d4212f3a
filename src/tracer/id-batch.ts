import type { Threshold } from './threshold.js';

/** Bytes of a span id; a trace id has twice as many. */
export const idBytes = 8;

/**
 * Random bytes of which ids are parts, and the same as text once the first of them is asked for: most spans that are not
 * sampled are never asked.
 */
export class IdBatch {
  private readonly view: DataView;
  private text = '';

  constructor(private readonly bytes: Uint8Array<ArrayBuffer>) {
    this.view = new DataView(bytes.buffer);
  }

  /** Lower-case hex digits of some of the bytes. */
  digits(from: number, count: number): string {
    if (this.text === '') this.write();
    return this.text.slice(2 * from, 2 * (from + count));
  }

  /** Whether the trace whose id begins at that byte is kept: its last seven bytes, as one number, are not below the threshold. */
  reaches({ high, low }: Threshold, from: number): boolean {
    const top = this.view.getUint32(from + idBytes) & 0xffffff;
    return top > high || (top === high && this.view.getUint32(from + idBytes + 4) >= low);
  }

  private write(): void {
    const { bytes, view } = this;
    for (let at = 0; at < bytes.length; at += idBytes)
      if ((view.getUint32(at) | view.getUint32(at + 4)) === 0) view.setUint32(at + 4, 1);
    // Of the platform, because that takes a fifth of the time.
    this.text = Buffer.from(bytes.buffer).toString('hex');
  }
}
