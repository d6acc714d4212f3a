import { type Random, systemRandom } from '../core/random.js';
import { IdBatch, idBytes } from './id-batch.js';
import type { Threshold } from './threshold.js';

/** An id is a part of the text of its batch and keeps all of that: so long a text is no loss, and making it is shared by many. */
const batchBytes = 256 * idBytes;
/** The platform's generator takes as long to begin as for a thousand bytes. */
const sourceBytes = 8 * batchBytes;

interface WebCrypto {
  getRandomValues(bytes: Uint8Array): unknown;
}

/** What fills a batch: the platform's generator where it has one. */
function filler(random: Random | undefined): (bytes: Uint8Array) => void {
  const { crypto } = globalThis as { readonly crypto?: WebCrypto };
  if (random === undefined && crypto !== undefined) return (bytes) => void crypto.getRandomValues(bytes);
  const next = random ?? systemRandom;
  return (bytes) => {
    for (let at = 0; at < bytes.length; at++) bytes[at] = next() * 256;
  };
}

/** The ids of a trace and of its first span, as long as nobody asks for them without their text. */
export class NewIds {
  constructor(
    private readonly batch: IdBatch,
    private readonly from: number,
  ) {}

  /** 32 lower-case hex digits. */
  get traceId(): string {
    return this.batch.digits(this.from, 2 * idBytes);
  }

  /** 16 lower-case hex digits. */
  get spanId(): string {
    return this.batch.digits(this.from + 2 * idBytes, idBytes);
  }

  /** Whether the randomness of the trace is not below a threshold. */
  reaches(threshold: Threshold): boolean {
    return this.batch.reaches(threshold, this.from);
  }
}

/**
 * Ids of traces and spans, made in batches: one text for 256 of them, of which an id is a part. All their bits are random, as the random flag of W3C Trace Context level 2 promises, and none is zero.
 */
export class IdPool {
  private readonly fill: (bytes: Uint8Array) => void;
  private readonly source = new Uint8Array(sourceBytes);
  private used = sourceBytes;
  private batch: IdBatch | undefined = undefined;
  private at = batchBytes;

  /** @param random - instead of the platform's generator, for ids that repeat */
  constructor(random?: Random) {
    this.fill = filler(random);
  }

  /** 16 lower-case hex digits. */
  spanId(): string {
    const batch = this.holding(idBytes);
    const from = this.at;
    this.at = from + idBytes;
    return batch.digits(from, idBytes);
  }

  /** Those of a trace that begins. */
  draw(): NewIds {
    const batch = this.holding(3 * idBytes);
    const from = this.at;
    this.at = from + 3 * idBytes;
    return new NewIds(batch, from);
  }

  /** A batch that has so many bytes left. */
  private holding(bytes: number): IdBatch {
    const { batch } = this;
    return batch !== undefined && this.at + bytes <= batchBytes ? batch : this.refill();
  }

  private refill(): IdBatch {
    if (this.used === sourceBytes) {
      this.fill(this.source);
      this.used = 0;
    }
    this.batch = new IdBatch(this.source.slice(this.used, this.used + batchBytes));
    this.used += batchBytes;
    this.at = 0;
    return this.batch;
  }
}
